"""What people do at a console: say, react, press, and wait for what the bot says."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Awaitable, Callable

from bot.messages import Button, ChatMessage, Post, Press, Reaction
from bot.platforms.console.thread import BOT, ConsoleMessage, ConsoleThreads
from bot.platforms.protocol import Inbox
from bot.reactions import ReactionTable
from session.people import Identity

PLATFORM = "console"
WORKSPACE = "console"
CHANNEL = "console"

# Nobody has to write it here, but people who know chat do.
_MENTION = re.compile(r"^\s*@bellhop\b[,:]?\s*", re.IGNORECASE)

Deed = Callable[[Inbox], Awaitable[None]]


class NothingThere(Exception):
    """What somebody wanted to react to or press does not exist; the message says what was looked for."""


class ConsolePeople:
    """The people at a console. Each method returns once the inbox has dealt with what was done.

    Deeds wait in line, as they were done, until `serve` (which the platform's `run` calls) takes them.
    """

    def __init__(self, threads: ConsoleThreads, reactions: ReactionTable) -> None:
        self._threads = threads
        self._reactions = reactions
        self._deeds: asyncio.Queue[tuple[Deed, asyncio.Future[None]]] = asyncio.Queue()

    async def serve(self, inbox: Inbox) -> None:
        """Hand every deed to the inbox, until cancelled."""
        while True:
            deed, done = await self._deeds.get()
            try:
                await deed(inbox)
            finally:
                if not done.done():
                    done.set_result(None)

    async def say(
        self, text: str, by: str = "Ada", *, thread: str | None = None, mention: bool = True
    ) -> ConsoleMessage:
        """Somebody writes; None as `thread` begins a new one. `mention`: whether it calls on the bot."""
        message = await self._threads.add(thread or "", by, text)
        chat = ChatMessage(
            event_id=self._event_id(),
            platform=PLATFORM,
            workspace=WORKSPACE,
            channel=CHANNEL,
            thread=message.thread,
            message=message.id,
            author=identity(by),
            text=_MENTION.sub("", text).strip(),
            sent_at=message.at,
            channel_name=CHANNEL,
            mentions_bot=mention,
            starts_thread=message.thread == message.id,
        )
        await self._do(lambda inbox: inbox.on_message(chat))
        return message

    async def react(
        self, emoji: str, by: str = "Ada", *, on: str | None = None, added: bool = True
    ) -> ConsoleMessage:
        """Somebody puts an emoji under a message (or takes it away): see `target` for what `on` may be.

        Raises: NothingThere.
        """
        message = self.target(emoji, on)
        await self._threads.react(message, emoji, by, added=added)
        reaction = Reaction(
            event_id=self._event_id(),
            platform=PLATFORM,
            workspace=WORKSPACE,
            channel=CHANNEL,
            thread=message.thread,
            message=message.id,
            author=identity(by),
            emoji=emoji,
            added=added,
            on_bot=message.author == BOT,
        )
        await self._do(lambda inbox: inbox.on_reaction(reaction))
        return message

    async def press(self, label: str, by: str = "Ada", *, value: str = "") -> ConsoleMessage:
        """Somebody presses the newest button whose label has these words, or picks `value` from a menu.

        Raises: NothingThere.
        """
        message, button = self._button(label, value)
        assert message.content is not None
        press = Press(
            event_id=self._event_id(),
            platform=PLATFORM,
            workspace=WORKSPACE,
            channel=CHANNEL,
            thread=message.thread,
            message=message.id,
            author=identity(by),
            action=button.action,
            session_id=message.content.session_id,
            ref=button.ref,
            value=button.value,
        )
        await self._do(lambda inbox: inbox.on_press(press))
        return message

    def target(self, emoji: str, on: str | None = None) -> ConsoleMessage:
        """The message a reaction goes to: `on` is an id or a kind; None finds the one that is meant.

        Yes and no go to the newest message that asks; with none asking, thumbs go to the newest answer and
        the rest to the card; 🛎️ goes to what was last written by a person.

        Raises: NothingThere.
        """
        newest = tuple(reversed(tuple(m for m in self._threads if m.only_for is None)))
        named = [m for m in newest if on in (m.id, m.kind)]
        wanted = self._meant(emoji, newest) if on is None else named
        if not wanted:
            raise NothingThere(f"there is no message to put {emoji} under" + (f": {on}" if on else ""))
        return wanted[0]

    def _meant(self, emoji: str, newest: tuple[ConsoleMessage, ...]) -> list[ConsoleMessage]:
        meaning = self._reactions.meaning(emoji)
        if meaning == "start":
            return [m for m in newest if m.author != BOT]
        asking = [m for m in newest if m.asks]
        if asking and meaning in ("yes", "no", "thumbs_up"):
            return asking
        answers = [m for m in newest if m.kind == "answer"]
        if answers and meaning in ("thumbs_up", "thumbs_down"):
            return answers
        return [m for m in newest if m.kind == "card"]

    def _button(self, label: str, value: str) -> tuple[ConsoleMessage, Button]:
        for message in reversed(tuple(self._threads)):
            content = message.content
            if content is None:
                continue
            for button in content.buttons:
                if not value and button.url is None and label.lower() in button.label.lower():
                    return message, button
            menu = content.menu if isinstance(content, Post) else None
            if value and menu is not None:
                return message, Button(menu.action, label, menu.ref, value)
        raise NothingThere(f"there is no button or menu for “{value or label}”")

    async def wait_for(
        self, predicate: Callable[[ConsoleMessage], bool], timeout_seconds: float = 30.0
    ) -> ConsoleMessage:
        """The newest message for which `predicate` holds, now or later. Raises: TimeoutError."""
        return await self._threads.wait_for(predicate, timeout_seconds)

    def transcript(self) -> str:
        """Everything that was said, as it stands now, as text."""
        return self._threads.transcript()

    async def _do(self, deed: Deed) -> None:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        await self._deeds.put((deed, done))
        await done

    def _event_id(self) -> str:
        return secrets.token_hex(8)


def identity(name: str) -> Identity:
    """The account of somebody on the console: anyone may sit down at it and say who they are."""
    return Identity(platform=PLATFORM, workspace=WORKSPACE, account=name.strip().lower(), name=name.strip())
