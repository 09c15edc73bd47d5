"""Idle boxes stop, forgotten ones go, busy ones stay."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sandbox.environments.protocol import SandboxSpec
from sandbox.session_boxes import box_name
from tests.emulators.model.turns import tool
from tests.sandbox.household import MODEL, Household, household
from tests.sandbox.test_jobs import FINISH

NOW = datetime.now(UTC)


async def boxes(house: Household) -> dict[str, bool]:
    return {box.name: box.running for box in await house.environment.list()}


async def test_an_idle_box_stops_and_a_follow_up_finds_its_files() -> None:
    async with household(verify=()) as house:
        house.model.script(MODEL, tool("write_file", path="kept.md", content="kept\n"), FINISH)
        session_id = await house.opened()
        await house.run(session_id)
        name = box_name(session_id)
        assert await house.reaper().sweep() == 0
        assert await boxes(house) == {name: True}
        assert await house.reaper().sweep(datetime.now(UTC) + timedelta(minutes=11)) == 1
        assert await boxes(house) == {name: False}
        house.model.script(MODEL, tool("read_file", path="kept.md"), FINISH)
        await house.prompt(session_id, "What did you write?")
        view = await house.run(session_id)
        assert view.sandbox is not None
        assert not view.sandbox.replaced
        assert "kept" in house.model.requests_to(MODEL)[-1].said_by("tool")[-1].text


async def test_a_box_with_a_live_lease_is_left_alone() -> None:
    async with household() as house:
        house.model.script(MODEL, FINISH)
        session_id = await house.opened()
        await house.run(session_id)
        lease = await house.leases.acquire(session_id, "a worker")
        assert lease is not None
        assert await house.reaper().sweep(datetime.now(UTC) + timedelta(days=9)) == 0
        await house.leases.release(lease)
        assert await house.reaper().sweep(datetime.now(UTC) + timedelta(days=9)) == 1
        assert await boxes(house) == {}


async def test_a_box_that_belongs_to_no_session_goes() -> None:
    async with household() as house:
        spec = SandboxSpec("nobody", "bellhop-nobody", None, house.home / "in")
        async with await house.environment.open(spec):
            pass
        assert await house.reaper().sweep() == 1
        assert await boxes(house) == {}


async def test_a_box_is_whose_the_record_says_whatever_it_is_called_and_was_made_for() -> None:
    async with household(verify=()) as house:
        session_id, made = await house.opened(), "made-before"
        spec = SandboxSpec("nobody", made, None, house.parts.places.inbound / made)
        async with await house.environment.open(spec):
            pass
        await house.parts.boxes.give(session_id, made)
        house.model.script(MODEL, tool("write_file", path="kept.md", content="kept\n"), FINISH)
        view = await house.run(session_id)
        assert view.sandbox is not None
        assert view.sandbox.box == made
        assert await house.reaper().sweep() == 0
        assert await boxes(house) == {made: True}
        lease = await house.leases.acquire(session_id, "a worker")
        assert lease is not None
        late = datetime.now(UTC) + timedelta(days=9)
        assert await house.reaper().sweep(late) == 0
        await house.leases.release(lease)

        assert await house.reaper().sweep(late) == 1
        assert await boxes(house) == {}
        house.model.script(MODEL, tool("read_file", path="kept.md"), FINISH)
        await house.prompt(session_id, "Go on")
        await house.run(session_id)
        assert await boxes(house) == {box_name(session_id): True}
        assert "kept" in house.model.requests_to(MODEL)[-1].said_by("tool")[-1].text
