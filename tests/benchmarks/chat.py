"""From a signed Slack event to the first call back to Slack: what Bellhop itself adds.

The clock starts when the request reaches the application and stops when the emulated Slack has answered
`reactions.add`, so the emulator's own share is in the figure; signature, parsing, directory, claim, log and
queue lie in between. Names and channels are known, as for everyone who wrote in the last ten minutes.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path

from starlette.types import Receive, Scope, Send

from tests.benchmarks import _chat_crowd
from tests.benchmarks.report import Report
from tests.bot.rooms import open_rooms
from tests.bot.slack_side import slack_platform, web_server
from tests.emulators.slack.emulator import SlackEmulator

MESSAGES = 40
WARM_UP = 5
BAR_MILLISECONDS = 50.0


class Arrivals:
    """Passes requests on and notes when each began."""

    def __init__(self, app: object) -> None:
        self._app = app
        self.at: list[float] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        self.at.append(time.perf_counter())
        await self._app(scope, receive, send)  # type: ignore[operator]


async def run(report: Report) -> None:
    """Measure `MESSAGES` mentions, one after the other, each in a thread of its own."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        # Redis is away: enqueueing then costs a refused connection, which is what it costs at worst.
        rooms = await stack.enter_async_context(
            open_rooms(f"sqlite://{folder / 'bellhop.db'}", "redis://127.0.0.1:1/0")
        )
        slack = await stack.enter_async_context(SlackEmulator(rate_limits=None, allow_unread=True))
        platform = slack_platform(slack, "http")
        await stack.enter_async_context(rooms.serving(platform, with_feed=False))
        await asyncio.wait_for(platform.ready(), 10)
        arrivals = Arrivals(platform.http)
        url = await stack.enter_async_context(web_server(arrivals))
        await slack.use_http(f"{url}/slack/events", f"{url}/slack/interactive")
        spent = sorted(await _measure(slack, arrivals))
    median, p95 = spent[len(spent) // 2], spent[int(len(spent) * 0.95)]
    report.add("event in to first call out, median", median, "ms", at_most=BAR_MILLISECONDS)
    report.add("event in to first call out, p95", p95, "ms", at_most=BAR_MILLISECONDS)
    await _chat_crowd.run(report)


async def _another_mark(slack: SlackEmulator, seen: int) -> None:
    await slack.wait_for(lambda: len(slack.calls_to("reactions.add")) > seen)


async def _measure(slack: SlackEmulator, arrivals: Arrivals) -> list[float]:
    ada, channel = slack.person("Ada"), slack.channel("general")
    spent: list[float] = []
    for number in range(WARM_UP + MESSAGES):
        before = len(slack.calls_to("reactions.add"))
        arrivals.at.clear()
        await ada.say(channel, f"round invoices half up ({number})")
        await _another_mark(slack, before)
        out = time.perf_counter()
        await slack.wait_for_delivery()
        if number >= WARM_UP:
            spent.append((out - arrivals.at[0]) * 1000)
    return spent
