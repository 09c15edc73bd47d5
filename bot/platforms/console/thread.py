"""The threads of a console: its messages, who reacted, and waiting for something to be said."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from bot.messages import MessageKind, Outgoing, Post, StatusCard
from bot.platforms.console.wording import plain_text

BOT = "Bellhop"


@dataclass(frozen=True, slots=True)
class ConsoleMessage:
    """A message as it stands now. `content` is None for what people wrote; `only_for`: the one who sees it.

    `reactions` are pairs of emoji and name; `revision` counts its edits; `key` is the sender's own.
    """

    id: str
    thread: str
    author: str
    at: datetime
    text: str
    content: Outgoing | None = None
    only_for: str | None = None
    reactions: tuple[tuple[str, str], ...] = ()
    revision: int = 0
    key: str = ""

    @property
    def kind(self) -> MessageKind:
        """What the message is to the session: "request" for everything people wrote."""
        if isinstance(self.content, StatusCard):
            return "card"
        if isinstance(self.content, Post):
            return self.content.kind
        return "notice" if self.author == BOT else "request"

    @property
    def tone(self) -> str:
        """How the session stands, as its card says; empty for other messages."""
        return self.content.tone if isinstance(self.content, StatusCard) else ""

    @property
    def asks(self) -> bool:
        """Whether it waits for somebody's yes or no."""
        return self.kind == "approval" and isinstance(self.content, Post) and bool(self.content.buttons)


Watcher = Callable[[ConsoleMessage, ConsoleMessage | None], None]


class ConsoleThreads:
    """All messages of this console, in the order they were said."""

    def __init__(self) -> None:
        # Ids must not come back in a later run: what happened to a message is on record by its id.
        self._run = secrets.token_hex(4)
        self._messages: dict[str, ConsoleMessage] = {}
        self._changed = asyncio.Condition()
        self._watchers: list[Watcher] = []

    def watch(self, watcher: Watcher) -> None:
        """Call `watcher` with each message that is new or changed, and what it was before (None: new)."""
        self._watchers.append(watcher)

    def __iter__(self) -> Iterator[ConsoleMessage]:
        return iter(tuple(self._messages.values()))

    def __contains__(self, message_id: str) -> bool:
        return message_id in self._messages

    def get(self, message_id: str) -> ConsoleMessage | None:
        """The message with that id."""
        return self._messages.get(message_id)

    def in_thread(self, thread: str) -> tuple[ConsoleMessage, ...]:
        """What everybody sees of a thread, oldest first."""
        return tuple(m for m in self if m.thread == thread and m.only_for is None)

    async def add(
        self,
        thread: str,
        author: str,
        content: Outgoing | str,
        *,
        only_for: str | None = None,
        key: str = "",
    ) -> ConsoleMessage:
        """The new message; an empty `thread` makes it the first of a new one."""
        message_id = f"{self._run}.{len(self._messages) + 1}"
        message = ConsoleMessage(
            id=message_id,
            thread=thread or message_id,
            author=author,
            at=datetime.now(UTC),
            text=plain_text(content),
            content=None if isinstance(content, str) else content,
            only_for=only_for,
            key=key,
        )
        await self._put(message)
        return message

    async def edit(self, message: ConsoleMessage, content: Outgoing) -> None:
        """The message now shows `content`."""
        revised = replace(message, content=content, text=plain_text(content), revision=message.revision + 1)
        await self._put(revised)

    async def react(self, message: ConsoleMessage, emoji: str, name: str, *, added: bool) -> None:
        """Put or take away somebody's emoji."""
        others = tuple(pair for pair in message.reactions if pair != (emoji, name))
        await self._put(replace(message, reactions=(*others, (emoji, name)) if added else others))

    async def _put(self, message: ConsoleMessage) -> None:
        before = self._messages.get(message.id)
        self._messages[message.id] = message
        for watcher in self._watchers:
            watcher(message, before)
        async with self._changed:
            self._changed.notify_all()

    async def wait_for(
        self, predicate: Callable[[ConsoleMessage], bool], timeout_seconds: float
    ) -> ConsoleMessage:
        """The newest message, as it stands, for which `predicate` holds, now or later.

        Raises: TimeoutError, whose message is the transcript.
        """

        def found() -> ConsoleMessage | None:
            return next((m for m in reversed(tuple(self)) if predicate(m)), None)

        try:
            async with asyncio.timeout(timeout_seconds), self._changed:
                await self._changed.wait_for(lambda: found() is not None)
        except TimeoutError:
            said = self.transcript()
            raise TimeoutError(f"nothing like that was said within {timeout_seconds} s:\n{said}") from None
        message = found()
        assert message is not None
        return message

    def transcript(self) -> str:
        """Everything as it stands now, as text."""
        return "\n\n".join(describe(message) for message in self)


def describe(message: ConsoleMessage) -> str:
    """One message as a block of text: who, what, and who reacted."""
    to = f" (only {message.only_for} sees this)" if message.only_for else ""
    reactions = f"\n  [{' '.join(f'{emoji} {name}' for emoji, name in message.reactions)}]"
    body = "\n".join(f"  {line}" if line else "" for line in message.text.splitlines())
    return f"{message.author}{to}:\n{body}{reactions if message.reactions else ''}"
