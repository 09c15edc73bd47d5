"""Discord as a chat platform."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import discord
import structlog

from bot.long_text import one_line
from bot.messages import ChatMessage, Choice, Outgoing, Place, Post, StatusCard, ThreadMessage
from bot.platforms.discord.api import UNKNOWN_CHANNEL, UNKNOWN_EMOJI, Archived, DiscordApi, code_of
from bot.platforms.discord.circuit import Circuit
from bot.platforms.discord.client import IDENTIFY_SECONDS, GatewayClient, use_addresses
from bot.platforms.discord.commands import register
from bot.platforms.discord.connection import stay_connected
from bot.platforms.discord.desk import Desk
from bot.platforms.discord.keys import nonce_of, number_of
from bot.platforms.discord.layout import MENU_OPTIONS, MESSAGE_CHARACTERS, render, split_post
from bot.platforms.discord.people import PLATFORM
from bot.platforms.discord.reading import newest
from bot.platforms.discord.room import Room
from bot.platforms.protocol import Busy, Inbox, Limits, MessageGone, PlaceGone, PlatformError, Rejected
from bot.reactions import ReactionTable

NOT_READY_SECONDS = 1.0
NOBODY = discord.AllowedMentions.none()

_LOOKED_THROUGH = 200
_NUMBERS_KEPT = 5_000

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class DiscordAccount:
    """How we are known to one guild. `member_role`: the role of those who may act; None: all members may."""

    bot_token: str = field(repr=False)
    guild_id: int
    member_role: int | None = None
    api_url: str = "https://discord.com/api/v10"
    gateway_url: str = "wss://gateway.discord.gg/"


class DiscordPlatform:
    """One Discord guild, and direct messages with its members.

    `repositories`: all that may be chosen. `identify_seconds`: least time between two new sessions of the
    gateway. A process holds one of these at a time, since the library knows one address of Discord.
    """

    name = PLATFORM
    limits = Limits(message_characters=MESSAGE_CHARACTERS, menu_choices=MENU_OPTIONS)

    def __init__(
        self,
        account: DiscordAccount,
        repositories: Sequence[Choice],
        *,
        reactions: ReactionTable | None = None,
        circuit: Circuit | None = None,
        identify_seconds: float = IDENTIFY_SECONDS,
    ) -> None:
        use_addresses(account.api_url, account.gateway_url)
        self._account = account
        self._repositories = repositories
        self._reactions = reactions or ReactionTable.standard()
        self._identify_seconds = identify_seconds
        self._api = DiscordApi(circuit or Circuit())
        self._room: Room | None = None
        self._ready = asyncio.Event()
        self._numbers: OrderedDict[str, int] = OrderedDict()

    async def run(self, inbox: Inbox) -> None:
        """Connect (as often as it takes), bring what was missed while we were away, then all that comes.

        Raises: PlatformError, when Discord does not take our token.
        """
        desk = Desk(inbox, self._repositories)

        async def arrived(client: GatewayClient, guild: discord.Guild) -> None:
            await self._arrived(desk, client, guild)

        def new_client(message_content: bool) -> GatewayClient:
            guild_id = self._account.guild_id
            return GatewayClient(
                guild_id,
                desk,
                arrived,
                message_content=message_content,
                identify_seconds=self._identify_seconds,
            )

        try:
            await stay_connected(self._api, self._account.bot_token, new_client)
        finally:
            self._room = None
            await desk.close()

    async def ready(self) -> None:
        """Return once the guild is known, its commands are registered, and what comes is taken."""
        await self._ready.wait()

    async def _arrived(self, desk: Desk, client: GatewayClient, guild: discord.Guild) -> None:
        desk.takes_part()
        self._room = Room.open(client, guild, self._api, self._account.member_role, self._reactions)
        desk.open(self._room)
        try:
            await register(self._api, client.tree, guild.id)
        except PlatformError as error:
            _log.warning("discord.cannot_register_commands", detail=str(error))
        self._ready.set()
        await desk.doors.catch_up(self._room)

    async def post(self, place: Place, content: Outgoing, key: str) -> str:
        """The id of the new message; a thread that is not there yet is begun."""
        room, number = self._known(), number_of(key)
        title = content.title if isinstance(content, StatusCard) else content.heading
        spot = await room.places.spot(place, one_line(title, 80))
        view = render(content, number)
        view.stop()

        async def send() -> discord.Message:
            if spot.reply_to is None:
                return await spot.channel.send(view=view, nonce=nonce_of(key), suppress_embeds=True)
            return await spot.channel.send(
                view=view, nonce=nonce_of(key), suppress_embeds=True, reference=spot.reply_to
            )

        sent = await self._api.call("write", spot.channel.id, send)
        self._remember(str(sent.id), number)
        return str(sent.id)

    async def edit(self, place: Place, message: str, content: Outgoing) -> None:
        """The message now shows `content`, and carries its key still."""
        room = self._known()
        number = self._numbers.get(message) or await self._number_of(room, place, message)
        view = render(content, number)
        view.stop()
        shown = self._message(room, place, message)
        await self._awake(
            room, place, "change a message", lambda: shown.edit(view=view, allowed_mentions=NOBODY)
        )
        self._remember(message, number)

    async def react(self, place: Place, message: str, emoji: str) -> None:
        """Our emoji stands under the message."""
        room = self._known()
        shown = self._message(room, place, message)
        await self._awake(room, place, "put an emoji", lambda: shown.add_reaction(emoji))

    async def unreact(self, place: Place, message: str, emoji: str) -> None:
        """Our emoji is gone from under the message."""
        room = self._known()
        shown, own = self._message(room, place, message), discord.Object(room.reader.bot_id)
        try:
            await self._awake(room, place, "take an emoji away", lambda: shown.remove_reaction(emoji, own))
        except Rejected as error:
            if code_of(error) != UNKNOWN_EMOJI:
                raise

    async def tell(self, place: Place, account: str, text: str) -> None:
        """Only this person sees it: as the answer to what they just did, or in their direct messages."""
        room = self._known()
        await room.asides.tell(place, account, text, direct=room.places.is_direct(place))

    async def thread(self, place: Place, limit: int) -> tuple[ThreadMessage, ...]:
        """The newest messages of the thread, oldest first; in a direct channel, all since the request."""
        room = self._known()
        found = [m for m in await self._said(room, place, limit + 10) if room.reader.is_spoken(m)]
        root = int(place.thread or 0)
        found = [message for message in found if message.id >= root]
        if place.thread and len(found) < limit and all(message.id != root for message in found):
            # A thread may stand without the message it was begun from.
            with suppress(MessageGone, PlaceGone):
                found.insert(0, await self._fetched(room, place, place.thread))
        return tuple(room.reader.thread_message(message) for message in found[-limit:])

    async def fetch(self, place: Place, message: str) -> ChatMessage | None:
        """The message as it stands."""
        room = self._known()
        found = room.reader.known(int(message))
        if found is None:
            try:
                found = await self._fetched(room, place, message)
            except MessageGone:
                return None
        where = Place(place.workspace, place.channel, place.thread or message)
        return await room.reader.message(found, where)

    async def find(self, place: Place, key: str) -> str | None:
        """The id of the message that carries the number of `key`."""
        room, number = self._known(), number_of(key)
        for message in reversed(await self._said(room, place, _LOOKED_THROUGH)):
            if message.author.id == room.reader.bot_id and _number_in(message) == number:
                return str(message.id)
        return None

    async def permalink(self, place: Place, message: str) -> str | None:
        """A link to the message."""
        room = self._known()
        guild = "@me" if room.places.is_direct(place) else place.workspace
        return f"https://discord.com/channels/{guild}/{room.places.holds(place, message).id}/{message}"

    def split(self, post: Post) -> tuple[Post, ...]:
        """The post in pieces that each fit one message."""
        return split_post(post)

    async def _said(self, room: Room, place: Place, limit: int) -> list[discord.Message]:
        """The newest messages of the thread; none where no thread was begun yet."""
        channel = room.places.messages(place)
        try:
            return await self._api.call("read a thread", channel.id, lambda: newest(channel, limit))
        except PlaceGone as error:
            if code_of(error) == UNKNOWN_CHANNEL and place.thread:
                return []
            raise

    async def _fetched(self, room: Room, place: Place, message: str) -> discord.Message:
        channel = room.places.holds(place, message)
        try:
            return await self._api.call(
                "read a message", channel.id, lambda: channel.fetch_message(int(message))
            )
        except PlaceGone as error:
            if code_of(error) == UNKNOWN_CHANNEL:
                raise MessageGone(f"there is no message {message}, nor the thread it was in") from error
            raise

    async def _number_of(self, room: Room, place: Place, message: str) -> int:
        """What a message of an earlier run carries."""
        return _number_in(await self._fetched(room, place, message)) or number_of(message)

    def _message(self, room: Room, place: Place, message: str) -> discord.PartialMessage:
        return room.places.holds(place, message).get_partial_message(int(message))

    async def _awake(self, room: Room, place: Place, what: str, ask: Callable[[], Awaitable[object]]) -> None:
        """Ask, and once more after the thread was opened, when it had gone to sleep."""
        try:
            await self._api.call(what, place.channel, ask)
        except Archived:
            await room.places.wake(place)
            await self._api.call(what, place.channel, ask)

    def _remember(self, message: str, number: int) -> None:
        self._numbers[message] = number
        if len(self._numbers) > _NUMBERS_KEPT:
            self._numbers.popitem(last=False)

    def _known(self) -> Room:
        if self._room is None:
            raise Busy("Discord has not told us of our guild yet", NOT_READY_SECONDS)
        return self._room


def _number_in(message: discord.Message) -> int | None:
    """The number of a message's outermost component."""
    if not message.components:
        return None
    outermost = message.components[0]
    return outermost.id if isinstance(outermost, discord.Container | discord.TextDisplay) else None
