"""🛑 while a tool runs: everything stands still, which is told at once; the session goes on when asked."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest

from session import events as e
from tests.emulators.model.turns import tool
from tests.faults.waiting import until
from tests.journeys.conftest import OpenHouse
from tests.journeys.house import AGENT
from tests.journeys.steps import FINISH, FIX


def runs(marker: str) -> bool:
    """Whether a process of that command line runs on this host, in whichever box."""
    for cmdline in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = cmdline.read_bytes().split(b"\0")
        except OSError:  # it ended while we looked
            continue
        if words[:2] == [b"sleep", marker.encode()]:
            return True
    return False


@pytest.mark.parametrize("boxes", ["local", "docker"])
async def test_a_stop_ends_the_tool_and_a_follow_up_goes_on(
    open_house: OpenHouse, boxes: str, request: pytest.FixtureRequest
) -> None:
    docker = None
    if boxes == "docker":
        docker = (request.getfixturevalue("docker_host"), request.getfixturevalue("base_image"))
    async with open_house(docker=docker) as house:
        ada = await house.member("Ada")
        marker = f"3600.{secrets.randbelow(10**9):09}"
        house.model.script(AGENT, tool("bash", command=f"sleep {marker} & sleep {marker}; wait"))
        thread = await ada.asks("watch the nightly run")
        await until(lambda: runs(marker), "the tool runs", 60)
        card = await thread.card("Working")

        await ada.reacts("octagonal_sign", card)
        asked = await thread.event(e.StopRequested)
        await thread.event(e.SessionStopped)
        records = await house.core.log.read(await thread.session(), after=asked.seq)
        assert [type(each.event) for each in records[:2]] == [e.ToolReturned, e.SessionStopped]
        await thread.hears("Stopped by Ada. The work so far is saved.")
        await thread.card("Stopped")
        await until(lambda: not runs(marker), "the tool is gone", 60)
        await thread.is_marked("octagonal_sign")

        house.model.script(AGENT, FIX, FINISH)
        await ada.replies(thread, "leave that, round half a cent up instead")
        await thread.hears("Half a cent is now rounded up.")
        await thread.card("Done")
        await thread.holds_only("card", "notice", "answer")
        returned = await thread.events(e.ToolReturned)
        assert returned[0].status == "cancelled"


async def test_stop_by_words_while_a_follow_up_waits_keeps_it(open_house: OpenHouse) -> None:
    async with open_house() as house:
        ada, grace = await house.member("Ada"), await house.member("Grace")
        house.model.script(AGENT, tool("bash", command="sleep 3600"))
        thread = await ada.asks("watch the nightly run")
        await thread.event(e.ToolCalled)
        waiting = await grace.replies(thread, "and say hello")
        await thread.prompt("and say hello")
        await thread.is_marked("eyes", waiting)

        house.model.script(AGENT, FINISH, FINISH)
        await grace.replies(thread, "stop")
        await thread.hears("1 follow-up is kept in line")
        assert (await thread.view()).state == "stopped"
        card = await thread.card("Stopped")
        await ada.presses("Try again", card)
        await thread.sees(lambda view: view.turns == 3 and view.state == "idle", "both are done")
        await thread.holds_only("card", "notice", "answer", "answer")


@pytest.mark.parametrize("way", ["reaction", "button"])
async def test_the_request_itself_and_the_button_stop_as_well(open_house: OpenHouse, way: str) -> None:
    async with open_house() as house:
        ada = await house.member("Ada")
        house.model.script(AGENT, tool("bash", command="sleep 3600"))
        thread = await ada.asks("watch the nightly run")
        await thread.event(e.ToolCalled)
        card = await thread.card("Working")
        if way == "button":
            await ada.presses("Stop", card)
        else:
            await ada.reacts("x", thread.root)
        await thread.hears("Stopped by Ada.")
        card = await thread.card("Stopped")
        assert "Stop" not in card.buttons
        await thread.holds_only("card", "notice")
