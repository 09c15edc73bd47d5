"""Words for one person alone: an answer to what they just pressed or typed, else a direct message.

Discord shows something to one person only as the answer to an interaction. Whoever only wrote or reacted is
written to directly; those who take no direct messages hear nothing (docs/decisions/0090).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from weakref import WeakValueDictionary

import discord

from bot.messages import Place
from bot.platforms.discord.api import DiscordApi, InteractionOver
from bot.platforms.discord.markdown import cut, discord_markdown
from bot.platforms.protocol import PlaceGone

CONTENT_CHARACTERS = 1_800  # of 2,000; the rest is for where it was
CLOSED_SECONDS = 600.0
"""How long somebody who takes no direct messages is not tried again."""


@dataclass(slots=True)
class Answering:
    """An interaction that is being dealt with. `told`: whether the person was already told something."""

    interaction: discord.Interaction[discord.Client]
    told: bool = False


class DiscordAsides:
    """Tells people things that nobody else sees."""

    def __init__(self, api: DiscordApi, client: discord.Client) -> None:
        self._api = api
        self._client = client
        self._now: ContextVar[Answering | None] = ContextVar("discord_answering", default=None)
        self._closed: dict[int, float] = {}
        self._lanes: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()

    @contextmanager
    def answering(self, interaction: discord.Interaction[discord.Client]) -> Iterator[Answering]:
        """Inside the block, and in tasks begun there, its person is told things as its answer."""
        answering = Answering(interaction)
        before = self._now.set(answering)
        try:
            yield answering
        finally:
            self._now.reset(before)

    async def tell(self, place: Place, account: str, text: str, *, direct: bool) -> None:
        """Only this person sees `text`. `direct`: whether the place itself is seen by nobody else.

        Raises: PlatformError, when there is no way to tell them.
        """
        shown = cut(discord_markdown(at_home(text)), CONTENT_CHARACTERS)
        answering = self._now.get()
        if answering is not None and str(answering.interaction.user.id) == account:
            try:
                await self.answer(answering, shown)
                return
            except InteractionOver:
                # Fifteen minutes are over, or the answer was given already: then as to everybody else.
                pass
        where = "" if direct else f"\n-# {_address(place)}"
        await self._write(int(account), f"{shown}{where}")

    async def answer(self, answering: Answering, shown: str) -> None:
        """Answer what somebody did. Raises: PlatformError."""
        followup = answering.interaction.followup
        await self._api.call(
            "answer an interaction",
            answering.interaction.id,
            lambda: followup.send(shown, ephemeral=True, suppress_embeds=True),
        )
        answering.told = True

    async def _write(self, account: int, shown: str) -> None:
        lane = self._lanes.setdefault(account, asyncio.Lock())
        async with lane:  # or the second of two at once would not know yet what became of the first
            await self._write_one(account, shown)

    async def _write_one(self, account: int, shown: str) -> None:
        self._closed = {who: until for who, until in self._closed.items() if until > time.monotonic()}
        if account in self._closed:
            raise PlaceGone(f"{account} takes no direct messages from us")
        person = discord.Object(account)
        try:
            channel = await self._api.call(
                "open a direct channel", account, lambda: self._client.create_dm(person)
            )
            await self._api.call("write directly", account, lambda: channel.send(shown, suppress_embeds=True))
        except PlaceGone:
            self._closed[account] = time.monotonic() + CLOSED_SECONDS
            raise


def at_home(text: str) -> str:
    """The text with the command for preferences called as it is here, where `/bellhop` takes a request."""
    return text.replace("`/bellhop", "`/preferences")


def _address(place: Place) -> str:
    return f"https://discord.com/channels/{place.workspace}/{place.thread or place.channel}"
