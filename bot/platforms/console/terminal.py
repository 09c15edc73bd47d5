"""A console on a terminal: the thread scrolls, the card stays live above the line being typed."""

from __future__ import annotations

import asyncio
import codecs
import os
import re
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markdown import Markdown
from rich.padding import Padding
from rich.panel import Panel
from rich.text import Text

from bot.messages import Post, StatusCard
from bot.platforms.console.lines import HELP, Lines
from bot.platforms.console.platform import ConsolePlatform
from bot.platforms.console.thread import BOT, ConsoleMessage
from bot.platforms.console.wording import facts, harmless, plain_text, plan_line

_COLOURS = {
    "waiting": "yellow",
    "working": "cyan",
    "done": "green",
    "failed": "red",
    "stopped": "magenta",
    "quiet": "bright_black",
}
_KEYS = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1bO.|\x1b.?")
_ENTER, _RUB_OUT, _CLEAR, _LEAVE = "\r\n", "\x7f\b", "\x15", "\x04"


class Terminal:
    """Lets one person (or several, by `/as`) chat on the terminal at file descriptor `keyboard`."""

    def __init__(self, keyboard: int, screen: Console, name: str = "Ada") -> None:
        self._keyboard = keyboard
        self._screen = screen
        self._name = name
        self._typed = ""
        self._entered: asyncio.Queue[str | None] = asyncio.Queue()
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._card: StatusCard | None = None
        self._lines: Lines | None = None
        self._live = Live(console=screen, auto_refresh=False, transient=True)

    async def run(self, console: ConsolePlatform) -> None:
        """Chat until the person leaves (Ctrl-D or `/quit`)."""
        self._lines = lines = Lines(console, self._name)
        console.threads.watch(self._shown)
        self._screen.print(
            Text("Write what you would like done. /help shows what else there is.", style="dim")
        )
        with _keys_as_typed(self._keyboard), self._live:
            asyncio.get_running_loop().add_reader(self._keyboard, self._read)
            try:
                await self._chat(lines)
            finally:
                asyncio.get_running_loop().remove_reader(self._keyboard)
                if self._card is not None:
                    self._live.console.print(_panel(self._card))

    async def _chat(self, lines: Lines) -> None:
        self._draw()
        while (line := await self._entered.get()) is not None:
            try:
                answer = await lines.take(line)
            except EOFError:
                return
            if answer:
                self._live.console.print(Text(answer, style="dim" if answer == HELP else ""))
            self._draw()

    def _read(self) -> None:
        pressed = os.read(self._keyboard, 4096)
        if not pressed:
            self._entered.put_nowait(None)
            return
        for key in _KEYS.sub("", self._decoder.decode(pressed)):
            self._press(key)
        self._draw()

    def _press(self, key: str) -> None:
        if key in _ENTER:
            self._entered.put_nowait(self._typed)
            self._typed = ""
        elif key in _RUB_OUT:
            self._typed = self._typed[:-1]
        elif key == _CLEAR:
            self._typed = ""
        elif key == _LEAVE:
            self._entered.put_nowait(None)
        elif key.isprintable():
            self._typed += key

    def _shown(self, message: ConsoleMessage, before: ConsoleMessage | None) -> None:
        if isinstance(message.content, StatusCard):
            self._show_card(message.content)
        elif before is None or message.revision != before.revision:
            self._live.console.print(_message(message))
        else:
            self._reacted(message, before)
        self._draw()

    def _show_card(self, card: StatusCard) -> None:
        """The card that changed last stays live; the one before scrolls away as it was."""
        if self._card is not None and self._card.session_id != card.session_id:
            self._live.console.print(_panel(self._card))
        self._card = card

    def _reacted(self, message: ConsoleMessage, before: ConsoleMessage) -> None:
        about = message.text.splitlines()[0][:40] if message.text else ""
        for emoji, name in message.reactions:
            if (emoji, name) not in before.reactions:
                self._live.console.print(Text(f"  {emoji} {name} · {about}", style="dim"))

    def _draw(self) -> None:
        name = self._lines.name if self._lines else self._name
        prompt = Text.assemble((f"{name} › ", "bold"), self._typed, ("▏", "blink"))
        parts: list[RenderableType] = [_panel(self._card)] if self._card else []
        self._live.update(Group(*parts, prompt), refresh=True)


def _panel(card: StatusCard) -> RenderableType:
    colour = _COLOURS[card.tone]
    lines = [Text(f"{card.state}" + (f" · {card.action}" if card.action else ""), style=colour)]
    lines += [Text(facts(card), style="dim")] if card.facts else []
    lines += [Text(plan_line(line), style="dim" if line.status == "done" else "") for line in card.plan]
    lines += [Text(note, style="dim italic") for note in card.notes]
    buttons = "  ".join(f"[{b.label}] {b.url}" if b.url else f"[{b.label}]" for b in card.buttons)
    lines += [Text(buttons, style="dim")] if buttons else []
    body = Text("\n").join(Text(harmless(line.plain), style=line.style) for line in lines)
    return Panel(
        body, title=Text(harmless(card.title), style="bold"), title_align="left", border_style=colour
    )


def _message(message: ConsoleMessage) -> RenderableType:
    mine = message.author == BOT
    to = f" (only {message.only_for} sees this)" if message.only_for else ""
    head = Text(f"{message.author}{to}", style="bold cyan" if mine else "bold")
    if not isinstance(message.content, Post):
        return Group(head, Padding(Text(message.text), (0, 0, 1, 2)))
    small = plain_text(Post("notice", "", "", footer=message.content.footer, buttons=message.content.buttons))
    body: list[RenderableType] = [Markdown(harmless(message.content.text), hyperlinks=False)]
    body += [Text(small.strip(), style="dim")] if small.strip() else []
    return Group(head, Padding(Group(*body), (0, 0, 1, 2)))


@contextmanager
def _keys_as_typed(keyboard: int) -> Iterator[None]:
    """Each key arrives when it is pressed, unechoed; the terminal is as before afterwards."""
    before = termios.tcgetattr(keyboard)
    # What was typed ahead is kept.
    tty.setcbreak(keyboard, termios.TCSADRAIN)
    try:
        yield
    finally:
        termios.tcsetattr(keyboard, termios.TCSADRAIN, before)
