"""A box that is gone comes back from its snapshot, from the checkpoint, or from both; never half."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from sandbox.environments.docker_engine import DockerEnvironment
from sandbox.environments.protocol import SandboxSpec
from sandbox.session_boxes import box_name
from sandbox.snapshots import Finished, Keeping, SnapshotKeeper
from session.snapshots import Snapshot, Snapshots
from session.view import SessionView
from tests.emulators.model.turns import tool
from tests.sandbox.household import MODEL, Household, household
from tests.sandbox.test_jobs import FINISH

pytestmark = pytest.mark.needs("docker")

WORK = tool(
    "bash",
    command="echo tracked >>README.md; echo untracked >notes.md; echo installed >~/tool",
)
LOOK = tool("bash", command="tail -n 1 README.md; cat notes.md; cat ~/tool 2>/dev/null || echo no tool")


@asynccontextmanager
async def worked(environment: DockerEnvironment) -> AsyncIterator[tuple[Household, str]]:
    """A household with containers, and a session whose first turn has worked and was copied."""
    async with household(environment=environment, verify=()) as house:
        house.model.script(MODEL, WORK, FINISH)
        session_id = await house.opened()
        await house.run(session_id)
        await house.parts.snapshots.settle()
        try:
            yield house, session_id
        finally:
            for snapshot in await record(house).on(await environment.place()):
                await environment.remove_snapshot(snapshot.reference)


def record(house: Household) -> Snapshots:
    return Snapshots(house.database)


async def newest(house: Household, session_id: str) -> list[Snapshot]:
    return await record(house).of(session_id, await house.environment.place())


async def followed_up(house: Household, session_id: str) -> tuple[SessionView, str]:
    """The view after a follow-up that looks around, and what it saw."""
    house.model.script(MODEL, LOOK, FINISH)
    await house.prompt(session_id, "What is there?")
    view = await house.run(session_id)
    assert view.sandbox is not None
    return view, house.model.requests_to(MODEL)[-1].said_by("tool")[-1].text


@pytest.fixture
async def working(docker_environment: DockerEnvironment) -> AsyncIterator[tuple[Household, str]]:
    async with worked(docker_environment) as opened:
        yield opened


async def test_a_lost_box_comes_back_whole_and_without_its_snapshot_with_every_file(
    working: tuple[Household, str],
) -> None:
    house, session_id = working
    [taken] = await newest(house, session_id)
    await house.environment.remove(box_name(session_id))
    view, seen = await followed_up(house, session_id)
    assert seen.split("\n")[:3] == ["tracked", "untracked", "installed"]
    assert view.sandbox is not None
    assert view.sandbox.replaced
    assert view.sandbox.restored.startswith("everything is as it was")

    await house.parts.snapshots.settle()
    [again] = await newest(house, session_id)
    assert (again.turns, again.reference) != (taken.turns, taken.reference)
    await house.environment.remove(box_name(session_id))
    await house.environment.remove_snapshot(again.reference)
    view, seen = await followed_up(house, session_id)
    assert seen.split("\n")[:3] == ["tracked", "untracked", "no tool"]
    assert view.sandbox is not None
    assert view.sandbox.restored.startswith("all files of the workspace")


async def test_a_snapshot_that_lags_behind_is_brought_up_to_the_checkpoint(
    working: tuple[Household, str],
) -> None:
    house, session_id = working
    [taken] = await newest(house, session_id)
    box = box_name(session_id)
    spec = SandboxSpec(session_id, box, None, house.parts.places.inbound / box)
    async with await house.environment.open(spec) as opened:
        await opened.runner.exec("stray", "echo stray >stray.md", timeout_seconds=60)
    house.parts.snapshots.ask(Finished(session_id, box, taken.repository, taken.turns, taken.checkpoint))
    await house.parts.snapshots.settle()
    later = tool("bash", command="rm stray.md notes.md; echo later >>README.md; echo new >later.md")
    house.model.script(MODEL, later, FINISH)
    await house.prompt(session_id, "Go on")
    await house.run(session_id)

    # The worker dies before it takes the second snapshot, and the box with it.
    await house.environment.remove(box)
    look = tool("bash", command="tail -n 1 README.md; cat later.md ~/tool; ls stray.md notes.md")
    house.model.script(MODEL, look, FINISH)
    await house.prompt(session_id, "And now?")
    view = await house.run(session_id)
    seen = house.model.requests_to(MODEL)[-1].said_by("tool")[-1].text
    assert seen.split("\n")[:3] == ["later", "new", "installed"]
    assert seen.count("No such file") == 2
    assert view.sandbox is not None
    assert view.sandbox.restored.endswith("after turn 1")


async def test_snapshots_that_do_not_fit_are_old_or_too_many_go(working: tuple[Household, str]) -> None:
    house, session_id = working
    [taken] = await newest(house, session_id)
    keeper = house.parts.snapshots
    # Asked for so late that the session has moved on: half of a later turn might be in it.
    keeper.ask(Finished(session_id, box_name(session_id), taken.repository, 0, taken.checkpoint))
    await keeper.settle()
    assert await newest(house, session_id) == [taken]
    # A worker that dies between taking one and writing it down leaves it to the next sweep, which gives it a
    # moment to be written down.
    stray = await house.environment.snapshot(box_name(session_id), "stray")
    assert set(await house.environment.snapshots()) == {taken.reference, stray}
    assert await keeper.sweep(datetime.now(UTC)) == 1
    assert await house.environment.snapshots() == [taken.reference]
    few = SnapshotKeeper(house.environment, house.log, record(house), Keeping(most=0))
    for swept, now in ((keeper, timedelta(days=8)), (few, timedelta())):
        assert await keeper.sweep(datetime.now(UTC)) == 0
        assert await swept.sweep(datetime.now(UTC) + now) == 1
        assert await newest(house, session_id) == []
        await record(house).add(taken)

    await record(house).drop(taken.reference)
    await record(house).add(replace(taken, runner=taken.runner - 1))
    await house.environment.remove(box_name(session_id))
    _, seen = await followed_up(house, session_id)
    assert seen.split("\n")[2] == "no tool"
    assert await newest(house, session_id) == []
