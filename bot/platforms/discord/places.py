"""Where things are: a thread's id is the id of the message it was begun from, or would be.

In a direct channel, and in a voice channel's chat, there are no threads: there a request's answers are
replies to the request, whose id stands for the thread (docs/decisions/0090).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import discord

from bot.messages import Place
from bot.platforms.discord.api import (
    THREAD_EXISTS,
    DiscordApi,
    code_of,
)
from bot.platforms.protocol import MessageGone, Rejected

THREAD_NAME_CHARACTERS = 90
_ARCHIVE_MINUTES: Literal[10080] = 10_080
_BEGUN_KEPT = 10_000

Channel = discord.PartialMessageable


@dataclass(frozen=True, slots=True)
class Spot:
    """Where to write: a channel, and the message to reply to where there are no threads."""

    channel: Channel
    reply_to: discord.MessageReference | None = None


class DiscordPlaces:
    """Places of one guild and of direct messages with its members."""

    def __init__(self, api: DiscordApi, client: discord.Client, guild: discord.Guild) -> None:
        self._api = api
        self._client = client
        self._guild = guild
        self._begun: set[int] = set()

    @property
    def workspace(self) -> str:
        """The guild, as places carry it; direct messages count as said in it."""
        return str(self._guild.id)

    def of_message(self, message: discord.Message) -> Place:
        """The thread that the message is in, or would begin."""
        return self.of(message.channel, root_of(message))

    def of(self, channel: object, message_id: int) -> Place:
        """The thread that a message in that channel is in, or would begin."""
        if isinstance(channel, discord.Thread):
            return Place(self.workspace, str(channel.parent_id), str(channel.id))
        channel_id = getattr(channel, "id", 0)
        known = self._guild.get_thread(channel_id)
        if known is not None:
            return Place(self.workspace, str(known.parent_id), str(known.id))
        return Place(self.workspace, str(channel_id), str(message_id))

    def has_threads(self, channel_id: int) -> bool:
        """Whether a thread can be begun in that channel."""
        return isinstance(self._guild.get_channel(channel_id), discord.TextChannel | discord.ForumChannel)

    def holds(self, place: Place, message: str) -> Channel:
        """The channel in which that message stands: a thread's first message stands outside of it."""
        parent = int(place.channel)
        in_thread = place.thread and place.thread != message and self.has_threads(parent)
        forum = isinstance(self._guild.get_channel(parent), discord.ForumChannel)
        inside = in_thread or (forum and place.thread)
        return self._channel(int(place.thread) if inside else parent, place)

    def messages(self, place: Place) -> Channel:
        """The channel that holds what was said in the thread."""
        parent = int(place.channel)
        inside = place.thread and self.has_threads(parent)
        return self._channel(int(place.thread) if inside else parent, place)

    def is_direct(self, place: Place) -> bool:
        """Whether the place is a conversation with one person alone."""
        return self._guild.get_channel(int(place.channel)) is None

    async def spot(self, place: Place, title: str) -> Spot:
        """Where to write for that place; a thread that is not there yet is begun, named `title`.

        Raises: PlatformError.
        """
        parent = int(place.channel)
        if not place.thread:
            return Spot(self._channel(parent, place))
        root = int(place.thread)
        if not self.has_threads(parent):
            reference = discord.MessageReference(message_id=root, channel_id=parent, fail_if_not_exists=False)
            return Spot(self._channel(parent, place), reference)
        if self._guild.get_thread(root) is None and root not in self._begun:
            await self._begin(place, title)
        return Spot(self._channel(root, place))

    async def wake(self, place: Place) -> None:
        """Open a thread that was archived. Raises: PlatformError."""
        thread_id = int(place.thread)
        thread = await self._api.call(
            "look at a thread", thread_id, lambda: self._client.fetch_channel(thread_id)
        )
        if isinstance(thread, discord.Thread):
            await self._api.call("open a thread", thread_id, lambda: thread.edit(archived=False))

    async def _begin(self, place: Place, title: str) -> None:
        parent, root = int(place.channel), int(place.thread)
        message = self._channel(parent, place).get_partial_message(root)
        name = title[:THREAD_NAME_CHARACTERS].strip() or "Bellhop"
        try:
            await self._api.call(
                "begin a thread",
                parent,
                lambda: message.create_thread(name=name, auto_archive_duration=_ARCHIVE_MINUTES),
            )
        except MessageGone:
            # A thread may stand without a message; whether it does is seen when something is written there.
            return
        except Rejected as error:
            if code_of(error) != THREAD_EXISTS:
                raise
        if len(self._begun) >= _BEGUN_KEPT:
            self._begun.clear()
        self._begun.add(root)

    def _channel(self, channel_id: int, place: Place) -> Channel:
        guild_id = None if self.is_direct(place) else self._guild.id
        return self._client.get_partial_messageable(channel_id, guild_id=guild_id)


def root_of(message: discord.Message) -> int:
    """The message that a reply goes back to where there are no threads; itself for one that is no reply."""
    reference = message.reference
    if isinstance(message.channel, discord.TextChannel) or reference is None or reference.message_id is None:
        return message.id
    quoted = reference.resolved
    if isinstance(quoted, discord.Message) and quoted.reference is not None and quoted.reference.message_id:
        return quoted.reference.message_id
    return reference.message_id
