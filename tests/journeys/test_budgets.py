"""A budget runs out: people are warned once, then asked, and whatever they say nothing is lost."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from deploy.demo.replies import Reply, ScriptedUsage
from session import events as e
from session.spending import Spending
from tests.emulators.model.turns import together, tool
from tests.emulators.slack.workspace import Message
from tests.journeys.conftest import OpenHouse
from tests.journeys.house import AGENT, BILLING
from tests.journeys.outside import outside
from tests.journeys.steps import FINISH, FIX, LOOK
from tests.journeys.thread import Thread
from tests.sandbox.door.upstream import Reply as Answer

HOST = "rates.example.com"
RATES_BYTES = 300_000


def calls(count: int) -> Reply:
    """So many calls that only look, in one reply."""
    return together(*[tool("bash", command=f"echo {number}") for number in range(count)])


def dear(reply: Reply) -> Reply:
    """The reply, at $1.40 and 101,000 tokens."""
    return replace(reply, usage=ScriptedUsage(1_000, 100_000))


async def asked(thread: Thread, number: int) -> Message:
    """The request with that number, as soon as it is in the thread."""
    await thread.sees(lambda view: len(view.approvals) == number, f"asked {number} times")
    return (await thread.is_told())[-1]


async def test_warned_once_asked_allowed_and_in_the_end_refused(open_house: OpenHouse) -> None:
    async with open_house(repositories={BILLING: {"budgets": {"tool_calls": 10}}}) as house:
        ada = await house.member("Ada")
        house.model.script(AGENT, together(FIX, calls(6)), calls(1), calls(1))
        thread = await ada.asks("round half a cent up")
        warned = await thread.hears("80% of this session's budget of tool calls is used")
        assert "8 tool calls of 10 tool calls. When all of it is used, the work stops until" in warned.shown
        first = await thread.hears("A budget is used up. May I go on?")
        assert "used up its budget of tool calls: 10 tool calls of 10 tool calls" in first.shown
        assert "A yes allows up to 20 tool calls in all. The work so far is kept either way." in first.shown
        await thread.card("Waiting for your approval")

        # Yes: it goes on where it stopped.
        house.model.script(AGENT, calls(8), calls(2))
        await ada.reacts("white_check_mark", first)
        second = await asked(thread, 2)
        assert "20 tool calls of 20 tool calls" in second.shown
        assert "A yes allows up to 30 tool calls in all." in second.shown
        assert len(await thread.events(e.TurnStarted)) == 1

        # No: it ends there, with all that was done.
        await ada.reacts("octagonal_sign", second)
        failure = await thread.hears("*That did not work:* The session's budget of tool calls is used up")
        assert "and Ada did not want more" in failure.shown
        assert "The work is saved. Ask for a smaller next step" in failure.shown
        assert failure.shown.count("is saved") == 1
        assert len(await thread.events(e.BudgetWarned)) == 2
        kept = house.workspace(await thread.session()) / "billing" / "money.py"
        assert "ROUND_HALF_UP" in kept.read_text()
        await thread.holds_only("card", "notice", "approval", "notice", "approval", "failure")


async def test_money_tokens_traffic_and_time_each_ask(open_house: OpenHouse, tmp_path: Path) -> None:
    async with outside(tmp_path) as there:
        there.server.reply = lambda got: Answer(body=b"2.67 " * (RATES_BYTES // 5))
        budgets = {"money_usd": 1, "tokens": 100_000, "egress_bytes": 200_000, "wall_minutes": 30}
        entry = {"budgets": budgets, "egress": ["forge", there.rule(HOST)]}
        async with open_house(settings=there.settings, repositories={BILLING: entry}) as house:
            ada = await house.member("Ada")
            fetch = f"curl -sS --fail-with-body {there.url(HOST)}"
            rates = tool("bash", command=f"{fetch} | wc -c; {fetch}")
            house.model.script(AGENT, dear(LOOK), rates, FINISH)
            thread = await ada.asks("look up the rates")
            money = await thread.hears("its budget of money: $1.40 of $1.00.")
            assert "A yes allows up to $2.00 in all." in money.shown
            await ada.reacts("white_check_mark", money)
            tokens = await thread.hears("its budget of tokens: 101,000 tokens of 100,000 tokens.")
            await ada.reacts("white_check_mark", tokens)
            traffic = await thread.hears("its budget of traffic: 0.3 MB of 0.2 MB.")
            assert there.asked() == [("GET", "/")], "the door lets no more through before somebody says so"

            # As if turns before this one had worked for half an hour.
            spending, session_id = Spending(house.core.database), await thread.session()
            await spending.spend(session_id, {"wall_minutes": 30 * 60})
            await ada.reacts("white_check_mark", traffic)
            working = await thread.hears("its budget of working time: ")
            # What this turn itself has worked comes on top.
            assert re.search(r"working time: 3\d minutes of 30 minutes\.", working.shown)
            await ada.reacts("white_check_mark", working)
            await thread.hears("Half a cent is now rounded up.")
            [told] = [r for r in await thread.events(e.ToolReturned) if "This session has used" in r.output]
            assert f"{RATES_BYTES}" in told.output
            assert len(house.model.requests_to(AGENT)) == 3
            await thread.holds_only("card", *["approval"] * 4, "answer")
