"""Fifty sessions at work in one channel for a minute, with people who add to what they asked for.

The emulated Slack counts as strictly as the real one may: one post a second in a channel, and each method by
its tier. What the agents do is written to the log as workers would; everything else is the bot's own.
"""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from session import events as e
from session.view import SessionView
from tests.benchmarks.report import Report
from tests.bot.rooms import Rooms, open_rooms
from tests.bot.slack_side import bot_on, slack_platform
from tests.emulators.slack.emulator import SlackEmulator
from tests.emulators.slack.people import SlackPerson
from tests.emulators.slack.workspace import TEAM_ID, Channel, Message
from tests.faults.waiting import until

SESSIONS = 50
TALK_SECONDS = 60.0
STEP_SECONDS = 2.0
FEED_INTERVAL_SECONDS = 3.0
DRAIN_SECONDS = 300.0
ADDED = "and a test for it"
ANSWER = "Invoices are rounded half up now."


@dataclass(frozen=True, slots=True)
class Talk:
    """One session, and the message that it began with."""

    request: Message
    session_id: str


async def run(report: Report) -> None:
    """Note what was lost, refused, or shown wrong in the end."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        rooms = await stack.enter_async_context(
            open_rooms(f"sqlite://{folder / 'bellhop.db'}", "redis://127.0.0.1:1/0")
        )
        slack = await stack.enter_async_context(SlackEmulator(allow_unread=True))
        platform = slack_platform(slack, paced=True)
        await stack.enter_async_context(
            bot_on(slack, rooms, platform=platform, interval_seconds=FEED_INTERVAL_SECONDS)
        )
        talks = await _talked(slack, rooms)
        ended = time.perf_counter()
        await _told(rooms)
        told = time.perf_counter() - ended
        views = [await rooms.log.view(talk.session_id) for talk in talks]
        _note(report, slack, talks, views)
    report.add("… until all was told, after the last event", told, "s")


async def _talked(slack: SlackEmulator, rooms: Rooms) -> list[Talk]:
    ada, channel = slack.person("Ada"), slack.channel("billing")
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_talk(rooms, ada, channel, number)) for number in range(SESSIONS)]
    return [task.result() for task in tasks]


async def _talk(rooms: Rooms, ada: SlackPerson, channel: Channel, number: int) -> Talk:
    chance = random.Random(number)
    ends = time.monotonic() + TALK_SECONDS
    await asyncio.sleep(chance.uniform(0, TALK_SECONDS / 4))
    request = await ada.say(channel, f"round invoices half up ({number})")
    session_id = await _session(rooms, request)
    await rooms.start_turn(session_id)
    await _work(rooms, session_id, "t0", ends - TALK_SECONDS / 3, chance)
    await ada.say(channel, ADDED, thread=request)
    await rooms.write(session_id, e.TurnFinished(turn_id="t0", summary=ANSWER))
    await _until(rooms, session_id, lambda view: len(view.prompts) == 2)
    await rooms.start_turn(session_id, 1)
    await _work(rooms, session_id, "t1", ends, chance)
    await rooms.write(session_id, e.TurnFinished(turn_id="t1", summary=ANSWER))
    return Talk(request, session_id)


async def _work(rooms: Rooms, session_id: str, turn_id: str, ends: float, chance: random.Random) -> None:
    step = 0
    while time.monotonic() < ends:
        called = e.ToolCalled(
            turn_id=turn_id, call_id=f"{turn_id}.{step}", tool="bash", action=f"Step {step}"
        )
        await rooms.write(session_id, called)
        step += 1
        await asyncio.sleep(chance.uniform(0, 2 * STEP_SECONDS))


async def _session(rooms: Rooms, request: Message) -> str:
    at = ("slack", TEAM_ID, request.channel.id, request.ts)

    async def is_there() -> bool:
        return await rooms.log.find_by_thread(*at) is not None

    await until(is_there, "a session", TALK_SECONDS)
    return await rooms.log.find_by_thread(*at) or ""


async def _until(rooms: Rooms, session_id: str, is_so: Callable[[SessionView], bool]) -> None:
    async with asyncio.timeout(TALK_SECONDS):
        async for _ in rooms.log.follow(session_id):
            if is_so(await rooms.log.view(session_id)):
                return


async def _told(rooms: Rooms) -> None:
    async def is_told() -> bool:
        return not await rooms.feed.outbox.pending("slack", limit=1)

    await until(is_told, "everything is told", DRAIN_SECONDS)


def _note(report: Report, slack: SlackEmulator, talks: Sequence[Talk], views: Sequence[SessionView]) -> None:
    refused = [call for call in slack.calls if call.error == "ratelimited"]
    lost = sum(2 - len(view.prompts) for view in views)
    wrong = missing = 0
    for talk in talks:
        card, *posts = slack.posts(talk.request)
        wrong += "Done" not in card.shown
        missing += abs(2 - sum(ANSWER in post.shown for post in posts))
    edits = len(slack.calls_to("chat.update"))
    report.add(
        f"{SESSIONS} sessions in one channel: what people said that was lost", lost, "messages", at_most=0
    )
    report.add("… calls that Slack refused for their rate", len(refused), "calls", at_most=0)
    report.add("… cards that do not show the last state", wrong, "cards", at_most=0)
    report.add("… answers that are missing, or there twice", missing, "answers", at_most=0)
    report.add("… edits of cards", edits, "calls")
