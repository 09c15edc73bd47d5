"""A console without a terminal: lines come in, and the thread is printed as it goes."""

from __future__ import annotations

import asyncio
from typing import TextIO

from bot.messages import StatusCard
from bot.platforms.console.lines import Lines
from bot.platforms.console.platform import ConsolePlatform
from bot.platforms.console.thread import ConsoleMessage, describe
from bot.platforms.console.wording import card_news


class Script:
    """Reads lines from `source` until its end (the grammar is `/help`) and prints what is said to `target`.

    A card is printed whole when it appears and when it comes to rest, and in between only what is new on it.
    """

    def __init__(self, source: TextIO, target: TextIO, name: str = "Ada") -> None:
        self._source = source
        self._target = target
        self._name = name

    async def run(self, console: ConsolePlatform) -> None:
        """Take every line, one after the other."""
        console.threads.watch(self._shown)
        lines = Lines(console, self._name)
        while line := await asyncio.to_thread(self._source.readline):
            try:
                answer = await lines.take(line)
            except EOFError:
                return
            if answer:
                self._print(answer)

    def _shown(self, message: ConsoleMessage, before: ConsoleMessage | None) -> None:
        if before is None:
            self._print(describe(message))
        elif message.reactions != before.reactions:
            self._reactions(message, before)
        elif isinstance(message.content, StatusCard) and isinstance(before.content, StatusCard):
            self._card(message, before.content, message.content)
        else:
            self._print(describe(message))

    def _reactions(self, message: ConsoleMessage, before: ConsoleMessage) -> None:
        for emoji, name in message.reactions:
            if (emoji, name) not in before.reactions:
                self._print(f"{name}: {emoji} on {_named(message)}", blank=False)
        for emoji, name in before.reactions:
            if (emoji, name) not in message.reactions:
                self._print(f"{name}: took {emoji} from {_named(message)}", blank=False)

    def _card(self, message: ConsoleMessage, before: StatusCard, after: StatusCard) -> None:
        if after.tone in ("done", "failed", "stopped") and after.tone != before.tone:
            self._print(describe(message))
            return
        for line in card_news(before, after):
            self._print(f"  · {line}", blank=False)

    def _print(self, text: str, *, blank: bool = True) -> None:
        self._target.write(f"{text}\n\n" if blank else f"{text}\n")
        self._target.flush()


def _named(message: ConsoleMessage) -> str:
    if message.kind == "request":
        return f"{message.author}'s message"
    return "the card" if message.kind == "card" else f"the {message.kind}"
