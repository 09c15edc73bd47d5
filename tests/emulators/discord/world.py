"""The state of one Discord guild and its bot: who is there, which channels, what was written."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from tests.emulators.discord.refusals import UNKNOWN_CHANNEL, UNKNOWN_MESSAGE, Json, unknown
from tests.emulators.discord.rendering import shown
from tests.emulators.slack.watch import Watch

TEXT, DM, VOICE, ANNOUNCEMENT, THREAD, FORUM = 0, 1, 2, 5, 11, 15
DEFAULT, REPLY, COMMAND, THREAD_STARTER = 0, 19, 20, 21
EPHEMERAL, COMPONENTS_V2, SUPPRESS_EMBEDS = 1 << 6, 1 << 15, 1 << 2
DISCORD_EPOCH_MS = 1_420_070_400_000

PERMISSIONS = {
    "add_reactions": 1 << 6,
    "view_channel": 1 << 10,
    "send_messages": 1 << 11,
    "embed_links": 1 << 14,
    "attach_files": 1 << 15,
    "read_message_history": 1 << 16,
    "use_application_commands": 1 << 31,
    "create_public_threads": 1 << 35,
    "send_messages_in_threads": 1 << 38,
}


@dataclass(eq=False, slots=True)
class User:
    """An account. `member` is False for somebody outside the guild; `roles` are ids besides @everyone."""

    id: int
    name: str
    bot: bool = False
    member: bool = True
    pending: bool = False
    roles: set[int] = field(default_factory=set)
    takes_messages: bool = True


@dataclass(eq=False, slots=True)
class Role:
    """A role; `bot_id` where it is the managed one of a bot."""

    id: int
    name: str
    permissions: int
    bot_id: int | None = None


@dataclass(eq=False, slots=True)
class Channel:
    """A channel, a thread (with `parent`) or a direct channel (with `recipient`). `denied`: what the bot may
    not do there, by the names in PERMISSIONS."""

    id: int
    name: str
    kind: int = TEXT
    topic: str = ""
    parent: Channel | None = None
    owner: User | None = None
    recipient: User | None = None
    archived: bool = False
    locked: bool = False
    deleted: bool = False
    denied: set[str] = field(default_factory=set)
    last_message: int | None = None

    @property
    def is_thread(self) -> bool:
        """Whether it is a thread."""
        return self.kind == THREAD

    @property
    def in_guild(self) -> bool:
        """Whether it belongs to the guild."""
        return self.kind != DM

    def lacks(self, permission: str) -> bool:
        """Whether the bot may not do that here; a thread goes by its parent."""
        return permission in (self.parent or self).denied


@dataclass(frozen=True, slots=True)
class Upload:
    """A file sent along with a message."""

    id: int
    name: str
    content: bytes
    media_type: str
    url: str
    seconds: float | None = None


@dataclass(eq=False, slots=True)
class Message:
    """A message as it stands now. `only_for`: the one who sees it; `read`: whether the test looked at it."""

    id: int
    channel: Channel
    author: User
    content: str = ""
    components: list[Json] = field(default_factory=list)
    kind: int = DEFAULT
    flags: int = 0
    nonce: str | None = None
    reference: Message | None = None
    uploads: tuple[Upload, ...] = ()
    reactions: dict[str, list[int]] = field(default_factory=dict)
    mentions: tuple[User, ...] = ()
    mention_roles: tuple[int, ...] = ()
    mention_everyone: bool = False
    only_for: User | None = None
    revisions: list[str] = field(default_factory=list)
    deleted: bool = False
    read: bool = False

    @property
    def shown(self) -> str:
        """What a person reads."""
        return shown(self.content, self.components)

    @property
    def place(self) -> tuple[int, int]:
        """Channel and message id."""
        return self.channel.id, self.id


class World:
    """Everything there is, and whoever waits for it to change."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self._counter = itertools.count(1)
        self._last_ms = 0
        self.guild_id = self.new_id()
        self.application_id = self.new_id()
        self.bot = User(self.application_id, "bellhop", bot=True)
        self.users: dict[int, User] = {self.bot.id: self.bot}
        every = sum(PERMISSIONS.values())
        self.everyone = Role(self.guild_id, "@everyone", every)
        self.bot_role = Role(self.new_id(), "bellhop", every, bot_id=self.bot.id)
        self.bot.roles.add(self.bot_role.id)
        self.roles = {role.id: role for role in (self.everyone, self.bot_role)}
        self.channels: dict[int, Channel] = {}
        self.messages: list[Message] = []
        self.commands: list[Json] = []
        self.interactions_endpoint: str | None = None

    def new_id(self) -> int:
        """A snowflake, larger than all before."""
        now = max(self._last_ms, int(time.time() * 1000) - DISCORD_EPOCH_MS)
        self._last_ms = now
        return (now << 22) | (next(self._counter) & 0x3FFFFF)

    def channel(self, channel_id: int) -> Channel:
        """The channel with that id. Raises: Refused."""
        found = self.channels.get(channel_id)
        if found is None or found.deleted:
            raise unknown(UNKNOWN_CHANNEL, "Channel")
        return found

    def message(self, channel_id: int, message_id: int) -> Message:
        """The message with that id, where everybody sees it. Raises: Refused."""
        channel = self.channel(channel_id)
        for message in self.messages:
            if message.id == message_id and message.channel is channel and not message.deleted:
                return message
        raise unknown(UNKNOWN_MESSAGE, "Message")

    def in_channel(self, channel: Channel, *, asides: bool = False) -> Iterator[Message]:
        """What stands in a channel, oldest first; `asides`: also what only one sees."""
        return (
            message
            for message in self.messages
            if message.channel is channel and not message.deleted and (asides or message.only_for is None)
        )

    def thread_of(self, message: Message) -> Channel | None:
        """The thread that was begun from a message: its id is the message's own."""
        found = self.channels.get(message.id)
        return found if found is not None and not found.deleted else None

    def add(self, message: Message) -> Message:
        """The message, now part of the world."""
        self.messages.append(message)
        if message.only_for is None:
            message.channel.last_message = message.id
        self.watch.changed()
        return message

    def permissions(self) -> int:
        """What the bot may do in the guild."""
        granted = 0
        for role in (self.everyone, *(self.roles[role_id] for role_id in self.bot.roles)):
            granted |= role.permissions
        return granted

    def may(self, channel: Channel, *permissions: str) -> bool:
        """Whether the bot may do all that there."""
        if not channel.in_guild:
            return True
        granted = self.permissions()
        return all(granted & PERMISSIONS[name] and not channel.lacks(name) for name in permissions)

    def unread(self) -> Sequence[Message]:
        """Messages of the bot that the test has not looked at."""
        return [m for m in self.messages if m.author is self.bot and not m.read and not m.deleted]
