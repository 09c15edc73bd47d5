"""What the gateway tells of people's messages, reactions and typing, brought to the inbox.

Discord tells each thing once. So what could not be read or looked up is tried again here; what was said in
one place is dealt with in its order.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from weakref import WeakValueDictionary

import discord
import structlog

from bot.messages import Place
from bot.platforms.discord.gaps import missed_messages
from bot.platforms.discord.room import Room
from bot.platforms.protocol import Inbox, PlatformError
from session.database import DatabaseDown

ARRIVES_AGAIN_SECONDS = 60.0
"""How long somebody who goes on writing in one place is not announced again."""

RETRY_SECONDS = (1.0, 5.0, 30.0)
_ARRIVALS_KEPT = 1_000
_DIRECT_KEPT = 200

_log = structlog.get_logger(__name__)


class DiscordDoors:
    """Takes what people of one guild write, put under messages, and begin to write."""

    def __init__(self, inbox: Inbox, *, retry_seconds: tuple[float, ...] = RETRY_SECONDS) -> None:
        self._inbox = inbox
        self._retry_seconds = retry_seconds
        self._lanes: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()
        self._arrivals: OrderedDict[tuple[str, str, int], float] = OrderedDict()
        self._direct: OrderedDict[int, discord.DMChannel] = OrderedDict()

    async def message(self, room: Room, message: discord.Message) -> None:
        """Somebody wrote something; what is not for us is left alone."""
        if not room.reader.said_by_person(message):
            return
        if isinstance(message.channel, discord.DMChannel):
            self._know(message.channel)
        lane = self._lanes.setdefault(message.channel.id, asyncio.Lock())
        async with lane:
            await self._persistently("message", lambda: self._message(room, message))

    async def _message(self, room: Room, message: discord.Message) -> None:
        place = await room.reader.place(message, self._inbox.knows)
        if room.reader.addresses_us(message) or await self._is_for_us(room, message, place):
            await self._inbox.on_message(await room.reader.message(message, place))

    async def _is_for_us(self, room: Room, message: discord.Message, place: Place) -> bool:
        """Whether it is said where a session lives, or has a word that is watched in its channel."""
        if room.reader.may_concern(message):
            return await self._inbox.knows(place)
        text = room.reader.plain(message)
        return bool(text) and await self._inbox.watches(place, text)

    async def reaction(self, room: Room, event: discord.RawReactionActionEvent) -> None:
        """Somebody put an emoji under a message, or took it away."""

        async def bring() -> None:
            reaction = await room.reader.reaction(event)
            if reaction is not None:
                await self._inbox.on_reaction(reaction)

        await self._persistently("reaction", bring)

    async def typing(self, room: Room, event: discord.RawTypingEvent) -> None:
        """Somebody began to write where a session lives, or to us alone: work is likely to come."""
        if event.guild_id not in (None, room.guild.id):
            return
        channel = room.guild.get_thread(event.channel_id)
        if event.guild_id is not None and channel is None:
            return
        place = room.places.of(channel or discord.Object(event.channel_id), event.channel_id)
        if not self._is_due(place, event.user_id):
            return
        try:
            if channel is None or await self._inbox.knows(place):
                await self._arrived(room, event)
        except (PlatformError, DatabaseDown) as error:
            _log.warning("discord.arrival_unseen", detail=str(error))

    async def _arrived(self, room: Room, event: discord.RawTypingEvent) -> None:
        member = event.user if isinstance(event.user, discord.Member) else None
        author = await (room.people.identity(member) if member else room.people.by_id(event.user_id))
        if not author.guest:
            await self._inbox.on_arrival(author)

    async def catch_up(self, room: Room) -> None:
        """Bring what was said while nobody listened; what is known already comes to nothing."""
        try:
            missed = await missed_messages(room.api, room.reader, room.guild, self._direct.values())
        except PlatformError as error:
            _log.warning("discord.cannot_catch_up", detail=str(error))
            return
        for message in missed:
            await self.message(room, message)

    async def _persistently(self, what: str, bring: Callable[[], Awaitable[None]]) -> None:
        for wait in (*self._retry_seconds, None):
            try:
                await bring()
                return
            except (PlatformError, DatabaseDown) as error:
                if wait is None:
                    raise
                _log.warning("discord.again_later", what=what, seconds=wait, detail=str(error))
                await asyncio.sleep(wait)

    def _is_due(self, place: Place, account: int) -> bool:
        now, key = time.monotonic(), (place.channel, place.thread, account)
        due = now >= self._arrivals.get(key, 0.0)
        if due:
            self._arrivals[key] = now + ARRIVES_AGAIN_SECONDS
            if len(self._arrivals) > _ARRIVALS_KEPT:
                self._arrivals.popitem(last=False)
        return due

    def _know(self, channel: discord.DMChannel) -> None:
        self._direct[channel.id] = channel
        if len(self._direct) > _DIRECT_KEPT:
            self._direct.popitem(last=False)
