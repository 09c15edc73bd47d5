"""What a chat platform must be able to do; one contract test runs against every implementation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from bot.home_view import Home
from bot.messages import (
    ChatMessage,
    CommandWords,
    Inquiry,
    Outgoing,
    Place,
    Post,
    Press,
    Reaction,
    ThreadMessage,
)
from bot.preferences_words import Wish
from session.people import Identity


class PlatformError(Exception):
    """The platform did not do what was asked; the message says what and where."""


class Busy(PlatformError):
    """The platform asks for patience: try again after `retry_after_seconds`. Nothing was sent."""

    def __init__(self, message: str, retry_after_seconds: float) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class Unreachable(PlatformError):
    """No answer came back: what was asked may have happened or not. Look before asking again."""


class PlaceGone(PlatformError):
    """The channel or thread cannot be written to (archived, deleted, the bot was put out)."""


class MessageGone(PlatformError):
    """The message that was to be changed does not exist any more."""


class Rejected(PlatformError):
    """The platform refuses this very content; asking again with the same will not help."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What fits. `message_characters`: Markdown of one post, before it is split.

    `edits_per_minute`: edits of messages that the platform takes in all; None: it does not count them.
    """

    message_characters: int
    menu_choices: int
    edits_per_minute: int | None = None


class Inbox(Protocol):
    """Where a platform brings what people do. What goes wrong is said in the thread, not raised."""

    async def on_message(self, message: ChatMessage) -> None:
        """Somebody wrote something that the bot can read."""

    async def knows(self, place: Place) -> bool:
        """Whether a session lives in that thread, so that what is said there may be a follow-up."""

    async def lively_threads(self, workspace: str, within: timedelta, most: int) -> Sequence[Place]:
        """The threads there in whose sessions something happened `within` that time until now, the latest
        first. Raises: DatabaseDown."""

    async def watches(self, place: Place, text: str) -> bool:
        """Whether a message with this text is a request in that channel, although it mentions nobody."""

    async def on_inquiry(self, inquiry: Inquiry) -> str:
        """Somebody asked something by a command; what to tell them, and nobody else."""

    async def on_words(self, words: CommandWords) -> str:
        """Somebody typed the bot's own command; what to tell them, and nobody else."""

    async def on_wish(self, author: Identity, wish: Wish) -> str | None:
        """Somebody chose something in a form about preferences; why it is not done, None when it is."""

    async def home(self, author: Identity) -> Home:
        """What the bot's own page on the platform shows this person. Raises: DatabaseDown."""

    async def on_reaction(self, reaction: Reaction) -> None:
        """Somebody put an emoji under a message, or took it away."""

    async def on_press(self, press: Press) -> None:
        """Somebody pressed a button or chose from a menu."""

    async def on_arrival(self, identity: Identity) -> None:
        """Somebody opened their direct messages with the bot, or began to write there or to a session."""


class Platform(Protocol):
    """One chat platform. Every method may raise a PlatformError."""

    @property
    def name(self) -> str:
        """The platform's name, as identities and origins carry it."""

    @property
    def limits(self) -> Limits:
        """What fits into one message here."""

    async def run(self, inbox: Inbox) -> None:
        """Bring everything people do to `inbox`, until cancelled."""

    async def post(self, place: Place, content: Outgoing, key: str) -> str:
        """The id of the new message, which carries `key` unseen so that `find` can tell it later."""

    async def edit(self, place: Place, message: str, content: Outgoing) -> None:
        """The message now shows `content`."""

    async def react(self, place: Place, message: str, emoji: str) -> None:
        """The bot's emoji stands under the message (also when it stood there before)."""

    async def unreact(self, place: Place, message: str, emoji: str) -> None:
        """The bot's emoji no longer stands under the message (also when it never did)."""

    async def tell(self, place: Place, account: str, text: str) -> None:
        """Only this person sees `text`."""

    async def thread(self, place: Place, limit: int) -> tuple[ThreadMessage, ...]:
        """The newest `limit` messages of the thread, oldest first."""

    async def fetch(self, place: Place, message: str) -> ChatMessage | None:
        """The message as it stands, None when it is gone. Its author is who wrote it."""

    async def find(self, place: Place, key: str) -> str | None:
        """The id of the message that was posted with `key`, None when there is none."""

    async def permalink(self, place: Place, message: str) -> str | None:
        """A link to the message, None when the platform has no such thing."""

    def split(self, post: Post) -> tuple[Post, ...]:
        """The post in pieces that each fit into one message; buttons and footer stay with the last."""
