"""The state of one Slack workspace: who is there, which channels, what was written."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from tests.emulators.slack.limits import elements_of
from tests.emulators.slack.refusals import Json, Refused
from tests.emulators.slack.rendering import label_of, render
from tests.emulators.slack.watch import Watch

TEAM_ID = "T0HOME"
SECOND_TEAM_ID = "T0SECOND"
STRANGER_TEAM_ID = "T0ELSEWHERE"
APP_ID = "A0BELLHOP"
BOT_ID = "B0BELLHOP"
BOT_USER_ID = "U0BELLHOP"

ChannelKind = Literal["channel", "group", "im"]


@dataclass(eq=False, slots=True)
class User:
    """Someone in the workspace, or a stranger who shares a channel with it; `email` may be empty."""

    id: str
    name: str
    is_restricted: bool = False
    is_ultra_restricted: bool = False
    is_stranger: bool = False
    is_bot: bool = False
    email: str = ""
    home: str = TEAM_ID

    @property
    def team_id(self) -> str:
        """The workspace the person belongs to."""
        return STRANGER_TEAM_ID if self.is_stranger else self.home


@dataclass(eq=False, slots=True)
class Channel:
    """A place to talk; `members` holds user ids."""

    id: str
    name: str
    topic: str
    kind: ChannelKind
    members: set[str]


@dataclass(frozen=True, slots=True)
class File:
    """Something uploaded."""

    id: str
    name: str
    mimetype: str
    content: bytes
    user: str
    url: str


@dataclass(eq=False, slots=True)
class Message:
    """A message as it stands now; it changes in place when it is edited.

    `ephemeral_for` is the only person who sees it, or None where everybody does. `read` tells whether the
    test has looked at it. `revisions` holds what it showed before each edit.
    """

    channel: Channel
    ts: str
    author: User
    text: str
    name_of: Callable[[str], str]
    blocks: list[Json] = field(default_factory=list)
    thread_ts: str | None = None
    metadata: Json | None = None
    files: tuple[File, ...] = ()
    ephemeral_for: str | None = None
    reactions: dict[str, list[str]] = field(default_factory=dict)
    revisions: list[str] = field(default_factory=list)
    deleted: bool = False
    read: bool = False
    streaming: bool = False

    @property
    def shown(self) -> str:
        """What a person reads."""
        return render(self.text, self.blocks, self.name_of)

    @property
    def buttons(self) -> list[str]:
        """What is written on its buttons and menus."""
        return [label_of(element) for element in elements_of(self.blocks)]

    @property
    def root_ts(self) -> str:
        """The `ts` of the thread it belongs to, its own if it starts one."""
        return self.thread_ts or self.ts

    def reacted(self, name: str) -> list[str]:
        """The names of those who reacted with `name`."""
        return [self.name_of(user) for user in self.reactions.get(name, [])]


@dataclass(slots=True)
class AgentSession:
    """What Slack shows of an agent in a thread; a Stop button while `status` is `processing`."""

    title: str
    status: str = "active"


class Workspace:
    """Everything there is; each change is announced on `watch`.

    `beside`: another workspace in which the app is too; the two have no id in common.
    """

    def __init__(self, watch: Watch, team_id: str = TEAM_ID, beside: Workspace | None = None) -> None:
        self.watch = watch
        self.team_id = team_id
        own = BOT_USER_ID if team_id == TEAM_ID else f"U{team_id[1:]}BOT"
        self.bot = User(own, "bellhop", is_bot=True, home=team_id)
        self.users: dict[str, User] = {own: self.bot}
        self.channels: dict[str, Channel] = {}
        self.messages: list[Message] = beside.messages if beside else []
        self.files: dict[str, File] = {}
        self.custom_emoji: dict[str, str] = {}
        self.shared_links: dict[str, tuple[Message, str]] = {}
        self.agent_sessions: dict[tuple[str, str], AgentSession] = {}
        self.response_tickets: dict[str, tuple[User, Channel, Message | None]] = {}
        self._numbers: Iterator[int] = beside._numbers if beside else itertools.count(1)
        self._last_ts = 0.0

    def new_id(self, prefix: str) -> str:
        """An id nothing else has."""
        return f"{prefix}{next(self._numbers):08d}"

    def new_ts(self) -> str:
        """The present moment in Slack's form, later than every one given before."""
        self._last_ts = max(time.time(), self._last_ts + 0.000_01)
        return f"{self._last_ts:.6f}"

    def name_of(self, an_id: str) -> str:
        """The name of a user or channel; the id itself where nobody has it."""
        known = self.users.get(an_id) or self.channels.get(an_id)
        return known.name if known else an_id

    def add_channel(self, name: str, topic: str, kind: ChannelKind, members: set[str]) -> Channel:
        """A new channel."""
        prefix = {"channel": "C", "group": "G", "im": "D"}[kind]
        channel = Channel(self.new_id(prefix), name, topic, kind, members)
        self.channels[channel.id] = channel
        return channel

    def direct_channel(self, user_id: str) -> Channel:
        """The conversation between the bot and one person, opened if need be."""
        for channel in self.channels.values():
            if channel.kind == "im" and user_id in channel.members:
                return channel
        return self.add_channel(self.name_of(user_id), "", "im", {self.bot.id, user_id})

    def channel(self, channel_id: object) -> Channel:
        """The channel with that id.

        Raises:
            Refused: `channel_not_found`.
        """
        if not isinstance(channel_id, str) or channel_id not in self.channels:
            raise Refused("channel_not_found")
        return self.channels[channel_id]

    def message(self, channel_id: object, ts: object) -> Message:
        """The message written there and then.

        Raises:
            Refused: `channel_not_found` or `message_not_found`.
        """
        channel = self.channel(channel_id)
        for message in self.messages:
            if message.channel is channel and message.ts == ts and not message.deleted:
                return message
        raise Refused("message_not_found")

    def in_thread(self, channel: Channel, root_ts: str) -> list[Message]:
        """The messages of a thread, oldest first, ephemeral ones included."""
        return [m for m in self.in_channel(channel) if m.root_ts == root_ts]

    def in_channel(self, channel: Channel) -> Iterator[Message]:
        """Everything written in a channel, oldest first."""
        return (m for m in self.messages if m.channel is channel and not m.deleted)

    def post(
        self,
        channel: Channel,
        author: User,
        text: str,
        *,
        blocks: Sequence[Json] = (),
        thread_ts: str | None = None,
        metadata: Json | None = None,
        files: Sequence[File] = (),
        ephemeral_for: str | None = None,
        streaming: bool = False,
    ) -> Message:
        """A new message, without telling the app about it."""
        message = Message(
            channel,
            self.new_ts(),
            author,
            text,
            self.name_of,
            list(blocks),
            thread_ts,
            metadata,
            tuple(files),
            ephemeral_for,
            streaming=streaming,
        )
        self.messages.append(message)
        self.watch.changed()
        return message
