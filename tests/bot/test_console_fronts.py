"""The console's two fronts: lines of a script, and a real pseudo-terminal."""

from __future__ import annotations

import asyncio
import io
import os
import pty
import termios

import pytest
from rich.console import Console

from bot.platforms.console.lines import HELP, Lines
from bot.platforms.console.opening import open_console
from bot.platforms.console.platform import ConsolePlatform
from bot.platforms.console.script import Script
from bot.platforms.console.terminal import Terminal
from bot.platforms.console.wording import harmless
from session import events as e
from tests.bot.rooms import Rooms


async def test_a_script_plays_a_whole_session(rooms: Rooms) -> None:
    lines = [
        "/help",
        "round invoices half up",
        "/wait card",
        "/react 🍴 card",
        "/wait approval",
        "/as Grace",
        "/react ✅",
        "/wait answer",
        "/react 🎷 nothing",
        "/press Nowhere",
        "/wait done",
        "/quit",
        "never said",
    ]
    read, write = os.pipe()
    target = io.StringIO()
    with os.fdopen(read) as source, os.fdopen(write, "w") as keyboard:
        console = ConsolePlatform(Script(source, target))
        keyboard.write("\n".join(lines) + "\n")
        keyboard.flush()
        async with rooms.serving(console):
            await console.threads.wait_for(lambda m: m.kind == "card", 60)
            session_id = await rooms.only_session()
            await rooms.start_turn(session_id)
            await rooms.write(session_id, e.PlanChanged(items=(e.PlanItem(text="find the rounding"),)))
            await console.threads.wait_for(lambda m: m.kind == "card" and "find the rounding" in m.text, 60)
            await rooms.ask_approval(session_id)
            await console.threads.wait_for(lambda m: "Approved by Grace" in m.text, 60)
            await rooms.write(session_id, e.TurnFinished(turn_id="t0", summary="Rounded."))
            async with asyncio.timeout(60):
                await console.left.wait()
    printed = target.getvalue()
    for expected in (
        HELP.splitlines()[0],
        "Ada:\n  round invoices half up",
        "Bellhop: 👀 on Ada's message",
        "  · ○ find the rounding",
        "only ada sees this",
        "You are Grace now.",
        "Grace: ✅ on the approval",
        "Bellhop:\n  Rounded.",
        "there is no message to put 🎷 under: nothing",
        "there is no button or menu for “Nowhere”",
        "▌ Done",
    ):
        assert expected in printed
    assert "never said" not in printed


async def test_waiting_for_what_does_not_come_is_said() -> None:
    console = ConsolePlatform()
    assert await Lines(console).take("/wait answer 0.01") == "Waited, but it did not come: answer 0.01"
    with pytest.raises(TimeoutError, match="nothing like that"):
        await console.threads.wait_for(lambda m: True, 0.01)


async def test_a_terminal_shows_the_card_above_what_is_being_typed(rooms: Rooms) -> None:
    ours, theirs = pty.openpty()
    before = termios.tcgetattr(theirs)
    target = io.StringIO()
    screen = Console(file=target, force_terminal=True, width=100, height=40)
    console = ConsolePlatform(Terminal(theirs, screen))
    try:
        async with rooms.serving(console):
            os.write(ours, b"round inxvoices\x7f half up\x15round invoices half up\x1b[A\r")
            await console.threads.wait_for(lambda m: m.kind == "card", 60)
            session_id = await rooms.only_session()
            await rooms.start_turn(session_id)
            await console.threads.wait_for(lambda m: m.kind == "card" and "Working" in m.text, 60)
            await rooms.write(session_id, e.UpdatePosted(text="Halfway **there** \x1b[31mred"))
            await console.threads.wait_for(lambda m: m.kind == "update", 60)
            os.write(ours, b"\x04")
            async with asyncio.timeout(60):
                await console.left.wait()
            view = await rooms.log.view(session_id)
        assert view.prompts[0].prompt.text == "round invoices half up"
        assert termios.tcgetattr(theirs) == before
    finally:
        os.close(ours)
        os.close(theirs)
    printed = target.getvalue()
    assert "Halfway" in printed
    assert "**there**" not in printed
    assert "Working" in printed
    assert "Ada › " in printed


def test_agents_cannot_speak_to_the_terminal() -> None:
    assert harmless("a\x1b[2Jb\x1b]0;title\x07c\x1bZd\x07\u202ee\r\nf\tg") == "abcde\nf\tg"


def test_without_a_terminal_the_lines_are_read() -> None:
    console = open_console(io.StringIO(""), io.StringIO())
    assert isinstance(console._front, Script)
