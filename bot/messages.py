"""What travels between a chat platform and the rest: words in, buttons in, cards and posts out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from session.people import Attachment, Identity, ThreadLine

MessageKind = Literal[
    "card", "approval", "question", "repository", "answer", "update", "failure", "notice", "request"
]
Action = Literal[
    "stop",
    "retry",
    "approve",
    "refuse",
    "answer",
    "pick_repository",
    "pick_each",
    "wrong_repository",
    "open_page",
]
Tone = Literal["waiting", "working", "done", "failed", "stopped", "quiet"]

# What the bot itself puts under people's messages.
SEEN = "👀"
TAKEN = "👌"
DONE = "✅"
FAILED = "⚠️"
STOPPED = "🛑"


@dataclass(frozen=True, slots=True)
class Place:
    """A thread on one platform. An empty `thread` is the channel itself."""

    workspace: str
    channel: str
    thread: str = ""


def is_clip(media_type: str) -> bool:
    """Whether a file of that kind may have speech in it."""
    return media_type.startswith(("audio/", "video/"))


@dataclass(frozen=True, slots=True)
class Clip:
    """A voice clip that came with a message. `seconds`: its length where the platform tells.

    `read` gives its bytes, None when they do not come or are more than it is asked for.
    """

    name: str
    media_type: str
    size_bytes: int
    seconds: float | None
    read: Callable[[int], Awaitable[bytes | None]]


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """A message somebody wrote. `text` is plain, the bot's own mention taken out.

    `event_id` is the platform's id of the delivery, `message` its id of the message; `thread` is the id of
    the thread the message is in, or would begin. `starts_thread` is True when nothing was said there before.
    `mentions_others` says that it calls on other people; `is_direct` that nobody but the bot can read it.
    """

    event_id: str
    platform: str
    workspace: str
    channel: str
    thread: str
    message: str
    author: Identity
    text: str
    sent_at: datetime
    channel_name: str = ""
    channel_topic: str = ""
    attachments: tuple[Attachment, ...] = ()
    clips: tuple[Clip, ...] = ()
    mentions_bot: bool = False
    mentions_others: bool = False
    is_direct: bool = False
    starts_thread: bool = False
    context: tuple[ThreadLine, ...] = ()

    @property
    def place(self) -> Place:
        """The thread it belongs to."""
        return Place(self.workspace, self.channel, self.thread)


@dataclass(frozen=True, slots=True)
class Reaction:
    """An emoji put under a message, or taken away (`added` False). `emoji`: short name or character.

    `on_bot` is True when the platform says that the message is the bot's own.
    """

    event_id: str
    platform: str
    workspace: str
    channel: str
    thread: str
    message: str
    author: Identity
    emoji: str
    added: bool = True
    on_bot: bool = False

    @property
    def place(self) -> Place:
        """Where the message is, as far as the platform tells: `thread` may be empty."""
        return Place(self.workspace, self.channel, self.thread)


@dataclass(frozen=True, slots=True)
class Press:
    """A button or a menu entry somebody chose.

    `ref` names what it is about (an approval, a question), `value` what was chosen (a slug, the number of an
    option, the digest that was shown).
    """

    event_id: str
    platform: str
    workspace: str
    channel: str
    thread: str
    message: str
    author: Identity
    action: Action
    session_id: str
    ref: str = ""
    value: str = ""

    @property
    def place(self) -> Place:
        """The thread the button is in."""
        return Place(self.workspace, self.channel, self.thread)


@dataclass(frozen=True, slots=True)
class Inquiry:
    """What somebody asked by a command of the platform: about the session of a thread, or about their own."""

    event_id: str
    platform: str
    workspace: str
    channel: str
    thread: str
    author: Identity
    name: Literal["stop", "status", "sessions"]

    @property
    def place(self) -> Place:
        """The thread in which it was asked."""
        return Place(self.workspace, self.channel, self.thread)


@dataclass(frozen=True, slots=True)
class CommandWords:
    """What somebody typed after the bot's own command of the platform, and the channel they typed it in."""

    platform: str
    workspace: str
    channel: str
    author: Identity
    text: str
    channel_name: str = ""
    is_direct: bool = False


@dataclass(frozen=True, slots=True)
class ThreadMessage:
    """A message that stands in a thread, as the platform remembers it. `from_bot`: Bellhop wrote it."""

    message: str
    account: str
    name: str
    text: str
    at: datetime
    from_bot: bool = False


@dataclass(frozen=True, slots=True)
class Button:
    """Something that can be done now. A button with `url` only opens that page."""

    action: Action
    label: str
    ref: str = ""
    value: str = ""
    style: Literal["primary", "danger", "plain"] = "plain"
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """One entry of a searchable menu."""

    value: str
    label: str
    description: str = ""


@dataclass(frozen=True, slots=True)
class Menu:
    """A menu with every choice there is, so that the right one is never hidden."""

    action: Action
    placeholder: str
    choices: tuple[Choice, ...]
    ref: str = ""


@dataclass(frozen=True, slots=True)
class PlanLine:
    """One line of the agent's check list."""

    text: str
    status: Literal["pending", "in_progress", "done", "dropped"]


@dataclass(frozen=True, slots=True)
class StatusCard:
    """The one message of a session that is edited in place. `revision` is the event it shows the state after.

    `state` is the state in words, `facts` label and value; `notes` are things people must know (a part that
    does not answer, how the sandbox is closed off).
    """

    session_id: str
    revision: int
    title: str
    state: str
    tone: Tone
    facts: tuple[tuple[str, str], ...] = ()
    plan: tuple[PlanLine, ...] = ()
    action: str = ""
    notes: tuple[str, ...] = ()
    buttons: tuple[Button, ...] = ()


@dataclass(frozen=True, slots=True)
class Post:
    """One message of its own in the thread: a question, an answer, a failure.

    `text` is Markdown as the agent or the bot wrote it, unescaped; `footer` is the small print under it.
    """

    kind: MessageKind
    session_id: str
    text: str
    ref: str = ""
    heading: str = ""
    footer: tuple[str, ...] = ()
    buttons: tuple[Button, ...] = ()
    menu: Menu | None = None
    tone: Tone = "quiet"


Outgoing = StatusCard | Post
