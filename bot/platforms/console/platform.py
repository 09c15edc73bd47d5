"""The console as a chat platform: the same inbox and feed as everywhere, on one machine."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import replace
from typing import Protocol

from bot.long_text import split_text
from bot.messages import ChatMessage, Outgoing, Place, Post, ThreadMessage
from bot.platforms.console.people import CHANNEL, PLATFORM, WORKSPACE, ConsolePeople, identity
from bot.platforms.console.thread import BOT, ConsoleMessage, ConsoleThreads
from bot.platforms.protocol import Inbox, Limits, MessageGone
from bot.reactions import ReactionTable


class Front(Protocol):
    """Where people sit: a terminal, or the lines of a script."""

    async def run(self, console: ConsolePlatform) -> None:
        """Bring what people type to `console.people` until they leave."""


class ConsolePlatform:
    """A chat platform in this process. People act through `people`, or through a `front` that does.

    Everything they do goes through the same front door as on any platform. `left` is set when the front has
    nothing more to bring.
    """

    name = PLATFORM
    limits = Limits(message_characters=6_000, menu_choices=1_000)

    def __init__(self, front: Front | None = None, *, reactions: ReactionTable | None = None) -> None:
        self.threads = ConsoleThreads()
        self.people = ConsolePeople(self.threads, reactions or ReactionTable.standard())
        self.left = asyncio.Event()
        self._front = front

    async def run(self, inbox: Inbox) -> None:
        """Hand on what people do until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.people.serve(inbox))
            if self._front is not None:
                await self._front.run(self)
                self.left.set()

    async def post(self, place: Place, content: Outgoing, key: str) -> str:
        """The id of the new message."""
        return (await self.threads.add(place.thread, BOT, content, key=key)).id

    async def edit(self, place: Place, message: str, content: Outgoing) -> None:
        """The message now shows `content`. Raises: MessageGone, for a message of an earlier run."""
        await self.threads.edit(self._known(message), content)

    async def react(self, place: Place, message: str, emoji: str) -> None:
        """The bot's emoji stands under the message; one of an earlier run is left alone."""
        if (found := self.threads.get(message)) is not None:
            await self.threads.react(found, emoji, BOT, added=True)

    async def unreact(self, place: Place, message: str, emoji: str) -> None:
        """The bot's emoji is gone from under the message."""
        if (found := self.threads.get(message)) is not None:
            await self.threads.react(found, emoji, BOT, added=False)

    async def tell(self, place: Place, account: str, text: str) -> None:
        """Only this person is shown `text`."""
        await self.threads.add(place.thread, BOT, text, only_for=account)

    async def thread(self, place: Place, limit: int) -> tuple[ThreadMessage, ...]:
        """The newest messages of the thread, oldest first."""
        return tuple(
            ThreadMessage(
                message=m.id,
                account=identity(m.author).account,
                name=m.author,
                text=m.text,
                at=m.at,
                from_bot=m.author == BOT,
            )
            for m in self.threads.in_thread(place.thread)[-limit:]
        )

    async def fetch(self, place: Place, message: str) -> ChatMessage | None:
        """The message as it stands."""
        found = self.threads.get(message)
        if found is None or found.only_for is not None:
            return None
        return ChatMessage(
            event_id=secrets.token_hex(8),
            platform=self.name,
            workspace=WORKSPACE,
            channel=CHANNEL,
            thread=found.thread,
            message=found.id,
            author=identity(found.author),
            text=found.text,
            sent_at=found.at,
            channel_name=CHANNEL,
            starts_thread=self.threads.in_thread(found.thread)[-1].id == found.thread,
        )

    async def find(self, place: Place, key: str) -> str | None:
        """The id of the message that was posted with `key`."""
        return next((m.id for m in self.threads if m.key == key), None)

    async def permalink(self, place: Place, message: str) -> str | None:
        """None: a line on a terminal has no address."""
        return None

    def split(self, post: Post) -> tuple[Post, ...]:
        """The post in pieces of a screen or two; buttons and footer stay with the last."""
        *first, last = split_text(post.text, self.limits.message_characters)
        bare = replace(post, buttons=(), menu=None, footer=())
        return (*(replace(bare, text=text) for text in first), replace(post, text=last))

    def _known(self, message: str) -> ConsoleMessage:
        found = self.threads.get(message)
        if found is None:
            raise MessageGone(f"message {message} was said in an earlier run of this console")
        return found
