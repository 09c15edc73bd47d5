"""Opens the console that fits: live on a terminal, line by line elsewhere."""

from __future__ import annotations

from typing import TextIO

from rich.console import Console

from bot.platforms.console.platform import ConsolePlatform
from bot.platforms.console.script import Script
from bot.platforms.console.terminal import Terminal


def open_console(source: TextIO, target: TextIO, name: str = "Ada") -> ConsolePlatform:
    """A console over these streams, usually stdin and stdout; `name`: who speaks at first."""
    if source.isatty() and target.isatty():
        return ConsolePlatform(Terminal(source.fileno(), Console(file=target), name))
    return ConsolePlatform(Script(source, target, name))
