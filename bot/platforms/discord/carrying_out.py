"""What happens when somebody types a command, or sends a message to us from its menu.

Everything is acknowledged before it is looked into: Discord waits for three seconds only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import discord

from bot import sentences
from bot.messages import ChatMessage, Choice, CommandWords, Inquiry, Reaction
from bot.platforms.discord.asides import at_home
from bot.platforms.discord.keys import OPTION_CHARACTERS, matching
from bot.platforms.discord.layout import MESSAGE_CHARACTERS, plain_layout
from bot.platforms.discord.markdown import cut, discord_markdown, escape
from bot.platforms.discord.needs import missing
from bot.platforms.discord.people import PLATFORM
from bot.platforms.discord.room import DiscordInteraction, Room
from bot.platforms.protocol import Inbox
from session.people import Identity

Name = Literal["stop", "status", "sessions"]

MOST_COMPLETIONS = 25


class DiscordCommands:
    """Carries out commands. `repositories`: all that may be named."""

    def __init__(self, inbox: Inbox, repositories: Sequence[Choice]) -> None:
        self._inbox = inbox
        self._repositories = repositories

    async def work(
        self, room: Room, interaction: DiscordInteraction, task: str, repository: str, model: str
    ) -> None:
        """`/bellhop`: the request is shown in the channel, where its thread begins. Raises: PlatformError."""
        author = await room.people.identity(interaction.user)
        lacking = missing(interaction.app_permissions)
        if lacking:
            text = sentences.overview.CANNOT_WORK_HERE.format(names=", ".join(lacking))
            await room.api.call(
                "answer a command",
                interaction.id,
                lambda: interaction.response.send_message(text, ephemeral=True),
            )
            return
        await self._acknowledge(room, interaction, alone=author.guest)
        with room.asides.answering(interaction):
            shown = interaction.id if author.guest else await self._show(room, interaction, author, task)
            await self._inbox.on_message(
                self._request(room, interaction, author, shown, _worded(task, repository, model))
            )

    async def _show(self, room: Room, interaction: DiscordInteraction, author: Identity, task: str) -> int:
        """The id of the message that shows what was asked; the thread begins there."""
        quoted = "\n".join(f"> {escape(line)}" for line in task.splitlines())
        view = plain_layout(cut(f"**{escape(author.name)}** asks:\n{quoted}", MESSAGE_CHARACTERS))
        view.stop()
        none = discord.AllowedMentions.none()
        message = await room.api.call(
            "show a request",
            interaction.id,
            lambda: interaction.edit_original_response(view=view, allowed_mentions=none),
        )
        return message.id

    def _request(
        self, room: Room, interaction: DiscordInteraction, author: Identity, message: int, text: str
    ) -> ChatMessage:
        place = room.places.of(interaction.channel, message)
        channel = room.guild.get_channel(int(place.channel))
        return ChatMessage(
            event_id=str(interaction.id),
            platform=PLATFORM,
            workspace=place.workspace,
            channel=place.channel,
            thread=place.thread,
            message=str(message),
            author=author,
            text=text,
            sent_at=interaction.created_at,
            channel_name=channel.name if channel is not None else "",
            channel_topic=str(getattr(channel, "topic", None) or ""),
            mentions_bot=True,
            starts_thread=place.thread == str(message),
        )

    async def ask(self, room: Room, interaction: DiscordInteraction, name: Name) -> None:
        """`/stop`, `/status`, `/sessions`: answered to that person alone. Raises: PlatformError."""
        await self._acknowledge(room, interaction, alone=True)
        author = await room.people.identity(interaction.user)
        place = room.places.of(interaction.channel, 0)
        inquiry = Inquiry(
            event_id=f"command:{interaction.id}",
            platform=PLATFORM,
            workspace=place.workspace,
            channel=place.channel,
            thread=place.thread,
            author=author,
            name=name,
        )
        with room.asides.answering(interaction) as answering:
            said = await self._inbox.on_inquiry(inquiry)
            await room.asides.answer(answering, cut(discord_markdown(said), 2_000))

    async def prefer(self, room: Room, interaction: DiscordInteraction, words: str) -> None:
        """`/preferences`: answered to that person alone. Raises: PlatformError."""
        await self._acknowledge(room, interaction, alone=True)
        place = room.places.of(interaction.channel, 0)
        channel = room.guild.get_channel(int(place.channel))
        typed = CommandWords(
            platform=PLATFORM,
            workspace=place.workspace,
            channel=place.channel,
            author=await room.people.identity(interaction.user),
            text=words,
            channel_name=channel.name if channel is not None else "",
            is_direct=channel is None,
        )
        with room.asides.answering(interaction) as answering:
            said = at_home(await self._inbox.on_words(typed))
            await room.asides.answer(answering, cut(discord_markdown(said), 2_000))

    async def send(self, room: Room, interaction: DiscordInteraction, message: discord.Message) -> None:
        """ "Send to Bellhop": like 🛎️ under the message. Raises: PlatformError."""
        await self._acknowledge(room, interaction, alone=True)
        author = await room.people.identity(interaction.user)
        place = room.places.of(interaction.channel, message.id)
        ours = room.client.user is not None and message.author.id == room.client.user.id
        reaction = Reaction(
            event_id=f"sent:{interaction.id}",
            platform=PLATFORM,
            workspace=place.workspace,
            channel=place.channel,
            thread=place.thread,
            message=str(message.id),
            author=author,
            emoji="🛎️",
            on_bot=ours,
        )
        with room.asides.answering(interaction) as answering, room.reader.handed(message):
            await self._inbox.on_reaction(reaction)
            if not answering.told:
                await room.asides.answer(answering, sentences.overview.SENT)

    async def complete(self, room: Room, interaction: DiscordInteraction, typed: str) -> list[str]:
        """Repositories for what was typed; those who may only watch are offered none."""
        author = await room.people.identity(interaction.user)
        if author.guest:
            return []
        short = [c for c in self._repositories if 0 < len(c.value) <= OPTION_CHARACTERS]
        return [choice.value for choice in matching(short, typed, MOST_COMPLETIONS)]

    async def _acknowledge(self, room: Room, interaction: DiscordInteraction, *, alone: bool) -> None:
        await room.api.call(
            "acknowledge a command", interaction.id, lambda: interaction.response.defer(ephemeral=alone)
        )


def _worded(task: str, repository: str, model: str) -> str:
    """The request as people write it in a message, with its leading directives."""
    named = [("repo", "".join(repository.split())), ("model", "".join(model.split()))]
    return "\n".join([*(f"!{name} {value}" for name, value in named if value), task])
