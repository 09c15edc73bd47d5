"""Workers are killed, frozen and replaced in the middle of turns."""

from __future__ import annotations

import signal
from collections.abc import Sequence

import pytest

from session import events as e
from tests.emulators.model.turns import Held, tool
from tests.faults.processes import MODEL, House
from tests.faults.standstill import Standstill, standstill
from tests.faults.waiting import until
from tests.faults.work import COMMAND, FINISH, PROPOSE, assert_done_once, reached, work

BEFORE_APPROVAL = (
    "TurnStarted",
    "SandboxReady",
    "ModelReplied",
    "ToolCalled",
    "ToolReturned",
    "ChangesRecorded",
    "ApprovalRequested",
)
AFTER_APPROVAL = (
    "ApprovalUsed",
    "begin publish",
    "finish publish",
    "BranchPublished",
    "begin pull_request",
    "finish pull_request",
    "PullRequestOpened",
    "TurnFinished",
)
DEPLOYS = 4


async def test_a_worker_killed_during_a_command_is_replaced_and_the_command_runs_once(
    two_workers: House,
) -> None:
    house = two_workers
    waiting = f"{COMMAND}; until test -e /workspace/.git/go; do sleep 0.05; done"
    house.model.script(MODEL, tool("bash", command=waiting), PROPOSE, FINISH)
    session_id = await house.opened()
    workspace = house.workspace(session_id)
    await until((workspace / "ran").exists, "the command runs")
    killed = await house.holder(session_id)
    await killed.kill()
    await house.event(session_id, e.TurnResumed)
    (workspace / ".git" / "go").touch()
    await house.approve(session_id)
    await assert_done_once(house, session_id)
    assert await house.holder(session_id) is not killed


async def opened_to_stand_still(house: House, still: Standstill, points: Sequence[str]) -> dict[str, str]:
    """A session for each point before which it stands still, by its id."""
    for program in house.programs:
        program.send(signal.SIGSTOP)  # or it might be past the point before anybody can say so
    sessions = {await house.opened(f"Fix the total of invoices ({point})"): point for point in points}
    await still.hold(sessions)
    for program in house.programs:
        program.send(signal.SIGCONT)
    return sessions


@pytest.mark.parametrize("points", [BEFORE_APPROVAL, AFTER_APPROVAL], ids=["before", "after"])
async def test_a_worker_may_die_before_any_record(one_worker: House, points: tuple[str, ...]) -> None:
    house = one_worker
    house.model.play(MODEL, work)
    async with standstill(house.environment["DATABASE_URL"]) as still:
        # Each session stands still before another of the points; then the worker of all is killed at once.
        sessions = await opened_to_stand_still(house, still, points)
        if points is AFTER_APPROVAL:
            for session_id in sessions:
                await house.approve(session_id)
        await still.reached(len(points))
        await house.programs[0].kill()
        await still.let_go()
    await house.start()
    for session_id in sessions:
        if points is BEFORE_APPROVAL:
            await house.approve(session_id)
        await assert_done_once(house, session_id)
    assert len(house.pull_requests()) == len(sessions)


async def test_a_worker_that_wakes_after_its_lease_is_refused(two_workers: House) -> None:
    house = two_workers
    held = Held(FINISH)
    house.model.script(MODEL, held, tool("finish", summary="The other one answered."))
    session_id = await house.opened()
    await reached(held)
    frozen = await house.holder(session_id)
    frozen.send(signal.SIGSTOP)
    view = await house.finished(session_id)
    assert view.answer == "The other one answered."
    held.release()
    frozen.send(signal.SIGCONT)
    await frozen.says("turn left to another")
    assert (await house.core.log.view(session_id)).seq == view.seq
    await house.assert_one_answer(session_id)


async def test_a_worker_frozen_in_the_middle_of_a_write_holds_nobody_up(two_workers: House) -> None:
    house = two_workers
    house.model.play(MODEL, work)
    async with standstill(house.environment["DATABASE_URL"]) as still:
        (session_id,) = await opened_to_stand_still(house, still, ["ToolCalled"])
        await still.reached(1)
        frozen = await house.holder(session_id)
        frozen.send(signal.SIGSTOP)
        await still.let_go()
    await house.approve(session_id)
    await assert_done_once(house, session_id)
    before = await house.core.log.read(session_id)
    frozen.send(signal.SIGCONT)
    await frozen.says("turn left")
    assert await house.core.log.read(session_id) == before


async def test_a_cut_connection_to_the_database_does_not_fail_a_turn(one_worker: House) -> None:
    house = one_worker
    house.model.play(MODEL, work)
    async with standstill(house.environment["DATABASE_URL"]) as still:
        (session_id,) = await opened_to_stand_still(house, still, ["ToolReturned"])
        await still.reached(1)
        await still.cut()
        await house.programs[0].says("turn left until the database answers")
        await still.let_go()
    await house.approve(session_id)
    await assert_done_once(house, session_id)


async def test_deploys_do_not_cost_a_turn_its_tries(steady_worker: House) -> None:
    house = steady_worker
    helds = [Held(FINISH) for _ in range(DEPLOYS)]
    house.model.script(MODEL, *helds, FINISH)
    session_id = await house.opened()
    for held in helds:
        await reached(held)
        assert await house.programs[-1].end() == 0
        await house.start()
    await house.finished(session_id)
    rows = await house.core.database.rows("SELECT drives FROM sessions WHERE id = ?", session_id)
    assert rows[0]["drives"] == 0
    resumed = [event for event in await house.events(session_id) if isinstance(event, e.TurnResumed)]
    assert len(resumed) == DEPLOYS
    await house.assert_one_answer(session_id)
