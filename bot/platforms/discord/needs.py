"""Which intents and permissions are used; `bellhop doctor` asks for the same."""

from __future__ import annotations

import discord

PERMISSIONS: tuple[str, ...] = (
    "view_channel",
    "send_messages",
    "create_public_threads",
    "send_messages_in_threads",
    "read_message_history",
    "add_reactions",
)
"""Permissions of the bot's role. Source: https://docs.discord.com/developers/topics/permissions"""

SCOPES = ("bot", "applications.commands")


def intents(*, message_content: bool) -> discord.Intents:
    """What the gateway is asked to tell. `message_content`, the privileged one: also what is not said to us.

    Source: https://docs.discord.com/developers/events/gateway#gateway-intents
    """
    wanted = discord.Intents.none()
    wanted.guilds = True
    wanted.messages = True
    wanted.reactions = True
    wanted.typing = True
    wanted.message_content = message_content
    return wanted


def grants_content(flags: discord.ApplicationFlags) -> bool:
    """Whether the application was given the message content intent."""
    return flags.gateway_message_content or flags.gateway_message_content_limited


def permissions() -> discord.Permissions:
    """All permissions in use."""
    return discord.Permissions(**dict.fromkeys(PERMISSIONS, True))


def missing(granted: discord.Permissions) -> tuple[str, ...]:
    """What is in use and not granted, as Discord's pages name it."""
    if granted.administrator:
        return ()
    return tuple(name.replace("_", " ").title() for name in PERMISSIONS if not getattr(granted, name))


def invitation(application_id: int, guild_id: int | None) -> str:
    """The page on which an admin lets the bot into the guild with the permissions in use."""
    guild = discord.Object(guild_id) if guild_id else discord.utils.MISSING
    return discord.utils.oauth_url(application_id, permissions=permissions(), guild=guild, scopes=SCOPES)
