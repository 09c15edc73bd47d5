"""Slash commands and the entry in a message's menu; registered in the guild when they have changed."""

from __future__ import annotations

from typing import Any

import discord
import structlog
from discord import app_commands
from discord.app_commands import AppCommand, Command, CommandTree, ContextMenu

from bot.platforms.discord.api import DiscordApi
from bot.platforms.discord.desk import Desk

NAMES = frozenset({"bellhop", "preferences", "stop", "status", "sessions", "Send to Bellhop"})
"""All commands, as people see them."""

Tree = CommandTree[discord.Client]

_log = structlog.get_logger(__name__)


def command_tree(client: discord.Client, guild_id: int, desk: Desk) -> Tree:
    """The commands of that guild; those at `desk` carry them out."""
    tree: Tree = CommandTree(client)
    guild = discord.Object(guild_id)

    @app_commands.describe(
        task="What you would like changed, in your own words",
        repository="Where; leave it out to let me work it out",
        model="The model that does the work; leave it out for the usual one",
    )
    async def bellhop(
        interaction: discord.Interaction, task: str, repository: str = "", model: str = ""
    ) -> None:
        await desk.commands.work(await desk.opened(), interaction, task, repository, model)

    async def complete(interaction: discord.Interaction, typed: str) -> list[app_commands.Choice[str]]:
        found = await desk.commands.complete(await desk.opened(), interaction, typed)
        return [app_commands.Choice(name=value, value=value) for value in found]

    @app_commands.describe(words="What to change, such as: model gpt-5; help says what can be said")
    async def preferences(interaction: discord.Interaction, words: str = "") -> None:
        await desk.commands.prefer(await desk.opened(), interaction, words)

    async def send(interaction: discord.Interaction, message: discord.Message) -> None:
        await desk.commands.send(await desk.opened(), interaction, message)

    async def stop(interaction: discord.Interaction) -> None:
        await desk.commands.ask(await desk.opened(), interaction, "stop")

    async def status(interaction: discord.Interaction) -> None:
        await desk.commands.ask(await desk.opened(), interaction, "status")

    async def sessions(interaction: discord.Interaction) -> None:
        await desk.commands.ask(await desk.opened(), interaction, "sessions")

    work: Command[Any, ..., None] = Command(
        name="bellhop", description="Ask Bellhop to change something in a repository", callback=bellhop
    )
    work.autocomplete("repository")(complete)
    tree.add_command(work, guild=guild)
    wishes: Command[Any, ..., None] = Command(
        name="preferences",
        description="What you prefer, and what holds here",
        callback=preferences,
    )
    tree.add_command(wishes, guild=guild)
    for name, description, callback in (
        ("stop", "Stop the session of this thread", stop),
        ("status", "How the session of this thread is doing", status),
        ("sessions", "Your sessions", sessions),
    ):
        asking: Command[Any, ..., None] = Command(name=name, description=description, callback=callback)
        tree.add_command(asking, guild=guild)
    tree.add_command(ContextMenu(name="Send to Bellhop", callback=send), guild=guild)
    tree.error(_failed)
    return tree


async def _failed(interaction: discord.Interaction, error: app_commands.AppCommandError) -> None:
    """The edge of a command: what went wrong there ends nothing else."""
    _log.error("discord.command_failed", interaction=interaction.id, exc_info=error)


Shape = tuple[str, int, str, tuple[tuple[str, int, str, bool, bool], ...]]


async def register(api: DiscordApi, tree: Tree, guild_id: int) -> bool:
    """Have the guild's commands as they are here; whether that needed a change. Raises: PlatformError."""
    guild = discord.Object(guild_id)
    known = await api.call("read the commands", guild_id, lambda: tree.fetch_commands(guild=guild))
    if {_registered(command) for command in known} == wanted(tree, guild):
        return False
    await api.call("register the commands", guild_id, lambda: tree.sync(guild=guild))
    return True


def wanted(tree: Tree, guild: discord.abc.Snowflake) -> set[Shape]:
    """The commands as they should be."""
    return {_own(command.to_dict(tree)) for command in tree.get_commands(guild=guild)}


def _own(command: dict[str, Any]) -> Shape:
    options = tuple(
        (
            str(option["name"]),
            int(option["type"]),
            str(option["description"]),
            bool(option.get("required")),
            bool(option.get("autocomplete")),
        )
        for option in command.get("options", ())
    )
    return str(command["name"]), int(command["type"]), str(command.get("description", "")), options


def _registered(command: AppCommand) -> Shape:
    options = tuple(
        (option.name, option.type.value, option.description, option.required, option.autocomplete)
        for option in command.options
        if isinstance(option, app_commands.Argument)
    )
    return command.name, command.type.value, command.description, options
