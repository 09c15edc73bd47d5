"""A Slack thread as a journey reads it: what the bot said there, and what the log says behind it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from deploy.core import Core
from session import events as e
from session.people import Prompt
from session.view import SessionView, State
from tests.emulators.slack.emulator import SlackEmulator
from tests.emulators.slack.workspace import TEAM_ID, Message
from tests.faults.waiting import until

PATIENCE_SECONDS = 60.0

E = TypeVar("E", bound=e.Event)


@dataclass(frozen=True, slots=True)
class Thread:
    """The thread that `root` begins."""

    slack: SlackEmulator
    core: Core
    root: Message

    async def hears(self, words: str, seconds: float = PATIENCE_SECONDS) -> Message:
        """The bot's message in the thread that shows these words, as soon as it is there."""
        return await self.slack.wait_for_post(self.root, words, seconds)

    async def session(self) -> str:
        """The id of the session that lives here, as soon as its card is there."""
        await self.slack.wait_for(self._public, PATIENCE_SECONDS)
        found = await self.core.log.find_by_thread("slack", TEAM_ID, self.root.channel.id, self.root.root_ts)
        assert found is not None, self.slack.transcript()
        return found

    async def view(self) -> SessionView:
        """The session's state."""
        return await self.core.log.view(await self.session())

    async def reaches(self, *states: State, seconds: float = PATIENCE_SECONDS) -> SessionView:
        """The session's state, as soon as it is one of these."""
        return await self.sees(lambda view: view.state in states, " or ".join(states), seconds)

    async def sees(
        self, fits: Callable[[SessionView], bool], what: str, seconds: float = PATIENCE_SECONDS
    ) -> SessionView:
        """The session's state, as soon as it fits; `what` names it where it never does."""
        session_id = await self.session()
        view = await self.core.log.view(session_id)
        try:
            async with asyncio.timeout(seconds):
                async for _ in self.core.log.follow(session_id):
                    view = await self.core.log.view(session_id)
                    if fits(view):
                        break
        except TimeoutError:
            raise AssertionError(f"never {what}: {view.state}, {view.failure}") from None
        return view

    async def event(
        self, kind: type[E], fits: Callable[[E], bool] = lambda _: True, seconds: float = PATIENCE_SECONDS
    ) -> e.Recorded:
        """The first event of that kind that fits, with its time, as soon as it is in the log."""
        async with asyncio.timeout(seconds):
            async for record in self.core.log.follow(await self.session()):
                if isinstance(record.event, kind) and fits(record.event):
                    return record
        raise AssertionError("following a log does not end")

    async def events(self, kind: type[E]) -> list[E]:
        """All events of that kind so far."""
        records = await self.core.log.read(await self.session())
        return [record.event for record in records if isinstance(record.event, kind)]

    async def prompt(self, text: str) -> Prompt:
        """The prompt whose text begins so, as soon as it is in line or further."""
        queued = await self.event(e.PromptQueued, lambda event: event.prompt.text.startswith(text))
        assert isinstance(queued.event, e.PromptQueued)
        return queued.event.prompt

    async def is_told(self) -> list[Message]:
        """What everybody sees of the bot in the thread, once nothing is left to tell; marks it read."""
        session_id = await self.session()

        async def told() -> bool:
            pending = await self.core.outbox.pending("slack", limit=1000)
            return all(item.session_id != session_id for item in pending)

        await until(told, "everything is told", PATIENCE_SECONDS)
        return [message for message in self.slack.posts(self.root) if message.ephemeral_for is None]

    async def holds_only(self, *kinds: str) -> list[Message]:
        """The bot's messages to all, once nothing is left to tell: of exactly these kinds, in this order."""
        messages = await self.is_told()
        found = []
        for message in messages:
            row = await self.core.messages.by_message("slack", message.channel.id, message.ts)
            found.append(row.kind if row else "unknown")
        assert found == list(kinds), self.slack.transcript()
        return messages

    async def card(self, words: str) -> Message:
        """The status card, as soon as it shows these words."""
        row = await self.core.messages.find(await self.session(), "card", platform="slack")
        first = self._public()[0]
        assert row is None or row.message_id == first.ts
        await self.slack.wait_for(lambda: words in first.shown, PATIENCE_SECONDS)
        first.read = True
        return first

    def marks(self, message: Message | None = None) -> set[str]:
        """The bot's reactions on a message, None being the first one."""
        bot = self.slack.workspace.bot.id
        return {name for name, users in (message or self.root).reactions.items() if bot in users}

    async def is_marked(self, name: str, message: Message | None = None) -> None:
        """Returns once `name` is the bot's only reaction on the message."""
        await self.slack.wait_for(lambda: self.marks(message) == {name}, PATIENCE_SECONDS)

    def _public(self) -> list[Message]:
        bot = self.slack.workspace.bot
        thread = self.slack.workspace.in_thread(self.root.channel, self.root.root_ts)
        return [m for m in thread if m.author is bot and m.ephemeral_for is None]
