"""The library's client: it keeps the gateway up, and tells here what comes from it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import discord
import structlog
from discord.gateway import DiscordWebSocket
from discord.http import Route
from yarl import URL

from bot.platforms.discord.api import LONGEST_LIMIT_SECONDS
from bot.platforms.discord.commands import command_tree
from bot.platforms.discord.desk import Desk
from bot.platforms.discord.needs import intents, invitation
from bot.platforms.discord.room import DiscordInteraction

_log = structlog.get_logger(__name__)

IDENTIFY_SECONDS = 5.0

Arrived = Callable[["GatewayClient", discord.Guild], Awaitable[None]]


def use_addresses(api_url: str, gateway_url: str) -> None:
    """Where Discord is. The library knows one address for all clients of a process."""
    Route.BASE = api_url.rstrip("/")
    DiscordWebSocket.DEFAULT_GATEWAY = URL(gateway_url)


class GatewayClient(discord.Client):
    """One client of one guild; what comes goes to `desk`, and `arrived` is called when the guild is known.

    What people do is dealt with in tasks of its own, so that a slow database holds up nothing else.
    """

    def __init__(
        self,
        guild_id: int,
        desk: Desk,
        arrived: Arrived,
        *,
        message_content: bool,
        identify_seconds: float = IDENTIFY_SECONDS,
    ) -> None:
        super().__init__(
            intents=intents(message_content=message_content),
            allowed_mentions=discord.AllowedMentions.none(),
            max_messages=None,
            member_cache_flags=discord.MemberCacheFlags.none(),
            chunk_guilds_at_startup=False,
            max_ratelimit_timeout=LONGEST_LIMIT_SECONDS,
        )
        self._guild_id = guild_id
        self._desk = desk
        self._arrived = arrived
        self._identify_seconds = identify_seconds
        self.tree = command_tree(self, guild_id, desk)

    async def before_identify_hook(self, shard_id: int | None, *, initial: bool = False) -> None:
        """Discord takes one IDENTIFY within five seconds."""
        if not initial:
            await asyncio.sleep(self._identify_seconds)

    async def on_connect(self) -> None:
        """Say so when the guild that we are to work in has not let us in."""
        if self.get_guild(self._guild_id) is None and self.application_id is not None:
            page = invitation(self.application_id, self._guild_id)
            _log.error("discord.not_in_guild", guild=self._guild_id, let_it_in=page)

    async def on_guild_available(self, guild: discord.Guild) -> None:
        """The guild is known: at a start, after a break that was too long to resume, after Discord's own."""
        if guild.id == self._guild_id:
            await self._arrived(self, guild)

    async def on_guild_join(self, guild: discord.Guild) -> None:
        """We were let into the guild just now."""
        await self.on_guild_available(guild)

    async def on_message(self, message: discord.Message) -> None:
        """Somebody wrote something."""
        if message.guild is None or message.guild.id == self._guild_id:
            await self._desk.doors.message(await self._desk.opened(), message)

    async def on_raw_reaction_add(self, event: discord.RawReactionActionEvent) -> None:
        """Somebody put an emoji under a message."""
        await self._desk.doors.reaction(await self._desk.opened(), event)

    async def on_raw_reaction_remove(self, event: discord.RawReactionActionEvent) -> None:
        """Somebody took one away."""
        await self._desk.doors.reaction(await self._desk.opened(), event)

    async def on_raw_typing(self, event: discord.RawTypingEvent) -> None:
        """Somebody began to write."""
        await self._desk.doors.typing(await self._desk.opened(), event)

    async def on_interaction(self, interaction: DiscordInteraction) -> None:
        """Somebody pressed something; commands come by the tree."""
        if interaction.type in (discord.InteractionType.component, discord.InteractionType.modal_submit):
            await self._desk.presses.used(await self._desk.opened(), interaction)

    async def on_error(self, event_method: str, /, *args: object, **kwargs: object) -> None:
        """The edge of a delivery: what went wrong there ends nothing else."""
        _log.exception("discord.not_taken", what=event_method)
