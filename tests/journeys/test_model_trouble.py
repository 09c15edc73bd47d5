"""A model that stumbles: half calls are never run, pauses are kept, and an outage is waited out aloud."""

from __future__ import annotations

import time

from session import events as e
from tests.emulators.model.turns import (
    Cut,
    HttpFault,
    Reset,
    nothing,
    rate_limited,
    raw_tool,
    same_ids,
    say,
    tool,
)
from tests.journeys.conftest import OpenHouse
from tests.journeys.house import AGENT
from tests.journeys.steps import FINISH, FIX

HALF = '{"command": "echo half > half.txt"'


async def test_malformed_calls_are_explained_and_the_work_goes_on(open_house: OpenHouse) -> None:
    async with open_house() as house:
        ada = await house.member("Ada")
        house.model.script(
            AGENT,
            raw_tool("bash", HALF),
            raw_tool("edit", '{"path": "billing/money.py"}'),
            raw_tool("bash", '{"cmd": "ls"}'),
            FIX,
            same_ids(tool("bash", command="echo one"), tool("bash", command="echo two")),
            FINISH,
        )
        thread = await ada.asks("round half a cent up")
        await thread.hears("Half a cent is now rounded up.")
        returned = await thread.events(e.ToolReturned)
        told = [result.output for result in returned if result.status == "error"]
        assert len(told) == 3
        assert "not JSON" in told[0]
        assert "no tool called 'edit'" in told[1]
        assert "schema" in told[2]
        assert [result.output.strip() for result in returned[5:7]] == ["one", "two"]
        await thread.holds_only("card", "answer")


async def test_the_fourth_malformed_call_in_a_row_fails_aloud(open_house: OpenHouse) -> None:
    async with open_house() as house:
        ada = await house.member("Ada")
        house.model.script(AGENT, *[raw_tool("bash", HALF)] * 4)
        thread = await ada.asks("round half a cent up")
        failure = await thread.hears("called tools 4 times in a way that cannot be read")
        assert "Retry" in failure.shown
        await thread.card("Failed")
        await thread.holds_only("card", "failure")


async def test_a_cut_stream_runs_no_half_call_and_is_asked_again(open_house: OpenHouse) -> None:
    async with open_house() as house:
        ada = await house.member("Ada")
        begun = tool("bash", command="echo once >> count.txt; cat count.txt")
        cut, ended_early = Cut(begun, 900), Cut(begun, 1200, abrupt=False)
        house.model.script(AGENT, cut, Reset(), ended_early, begun, FIX, FINISH)
        thread = await ada.asks("round half a cent up")
        await thread.hears("Half a cent is now rounded up.")
        ran = [result for result in await thread.events(e.ToolReturned) if result.tool == "bash"]
        assert [result.output.strip() for result in ran] == ["once"]
        assert len(house.model.requests_to(AGENT)) == 6
        await thread.holds_only("card", "answer")


async def test_a_rate_limit_is_waited_out_as_long_as_it_asks(open_house: OpenHouse) -> None:
    async with open_house() as house:
        ada = await house.member("Ada")
        house.model.script(AGENT, rate_limited("3"), FINISH)
        began = time.monotonic()
        thread = await ada.asks("round half a cent up")
        await thread.hears("Half a cent is now rounded up.")
        assert time.monotonic() - began >= 3
        await thread.holds_only("card", "answer")


async def test_an_outage_pauses_the_turn_aloud_until_it_is_over(open_house: OpenHouse) -> None:
    async with open_house() as house:
        ada = await house.member("Ada")
        house.model.script(AGENT, FIX)
        down = HttpFault(500)
        house.model.play(AGENT, lambda request: down)
        thread = await ada.asks("round half a cent up")
        card = await thread.card("Working")
        await house.slack.wait_for(lambda: "Paused, goes on by itself" in card.shown, 60)
        assert "HTTP 500" in card.shown
        assert (await thread.view()).failure is None
        await thread.sees(lambda view: bool(view.turn and view.turn.resumes), "taken up again")
        house.model.play(AGENT, lambda request: FINISH)
        await thread.hears("Half a cent is now rounded up.", 60)
        await thread.card("Done")
        assert len([r for r in await thread.events(e.ToolReturned) if r.tool == "edit_file"]) == 2
        await thread.holds_only("card", "answer")


async def test_empty_replies_do_not_pass_for_an_answer(open_house: OpenHouse) -> None:
    async with open_house() as house:
        ada = await house.member("Ada")
        house.model.script(AGENT, nothing(), nothing(), say("Nothing needs to change: half a cent is up."))
        house.model.play(AGENT, lambda request: FINISH)
        thread = await ada.asks("round half a cent up")
        view = await thread.reaches("idle", "failed", seconds=60)
        assert view.answer or view.failure
        await thread.is_told()
