"""The kill switch on a worker's host: busy boxes die and stay dead; a turn at work ends, and says by whom."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from sandbox.agent.calls import CallRunner
from sandbox.agent.tool_context import ToolContext
from sandbox.agent.turn_log import StopSeen
from sandbox.environments.protocol import Environment, Sandbox, SandboxFailed
from sandbox.environments.runner_client import RunnerError
from sandbox.halting import HaltWatch
from session import events as e
from session.audit import Audit
from session.database import Database
from session.halt import KillSwitch
from session.people import Person
from session.standstill import Standstill
from session.vocabulary import ToolRequest
from tests.emulators.model.turns import tool
from tests.provision.databases import tables_at
from tests.sandbox.environments.boxes import Bench, call_id, run
from tests.sandbox.environments.conftest import make_environment
from tests.sandbox.household import MODEL, household
from tests.session.room import eventually

BOXES = 20
ADMIN = Person(id="p_admin", name="Ada")


@pytest.fixture(params=["docker", "bubblewrap", "unshare"])
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    """A backend of this machine."""
    environment = make_environment(request.param, request, tmp_path)
    await environment.check()
    yield Bench(environment, tmp_path)
    await environment.aclose()


@pytest.fixture
async def switch(tmp_path: Path) -> AsyncIterator[KillSwitch]:
    """A switch that is on."""
    url = await tables_at(f"sqlite://{tmp_path / 'bellhop.db'}")
    async with await Database.open(url) as database:
        yield KillSwitch(database)


@asynccontextmanager
async def watching(switch: KillSwitch, environment: Environment) -> AsyncIterator[None]:
    """What every worker has beside its jobs."""
    watch = asyncio.create_task(HaltWatch(switch, environment).run())
    try:
        yield
    finally:
        watch.cancel()
        await asyncio.wait([watch])


def processes(mark: str) -> int:
    """How many of this machine's processes have that in their command line."""
    found = 0
    for directory in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            found += mark.encode() in (directory / "cmdline").read_bytes()
    return found


async def running(environment: Environment) -> set[str]:
    return {box.name for box in await environment.list() if box.running}


async def busy(sandbox: Sandbox, mark: str) -> None:
    """A command that never ends by itself; how its end is told depends on what of the box dies first."""
    with contextlib.suppress(RunnerError):
        await sandbox.runner.exec(
            call_id(),
            f"sh -c 'while :; do :; done' {mark} & sh -c 'while :; do :; done' {mark}",
            timeout_seconds=600,
        )


async def test_busy_boxes_are_killed_and_stay_dead_until_work_may_go_on(
    bench: Bench, switch: KillSwitch, request: pytest.FixtureRequest
) -> None:
    mark = f"busy-{secrets.token_hex(6)}"
    environment = bench.environment
    async with AsyncExitStack() as stack, asyncio.TaskGroup() as commands:
        opened = [bench.box() for _ in range(BOXES)]
        boxes = [await stack.enter_async_context(box) for box in opened]
        names = {box.name for box in boxes}
        for box in boxes:
            commands.create_task(busy(box, mark))

        async def at_work() -> bool:
            return processes(mark) >= 2 * BOXES

        async def dead() -> bool:
            return not await running(environment) & names

        await eventually(at_work)
        async with watching(switch, environment):
            assert await running(environment) >= names
            engaged = time.monotonic()
            await switch.engage(ADMIN, "a key leaked")
            await eventually(dead)
            said = f"{BOXES} busy boxes dead {time.monotonic() - engaged:.2f} s after the switch"
            request.node.add_report_section("call", "kill switch", said)
            assert processes(mark) == 0
            again = bench.spec(boxes[0].name)
            with contextlib.suppress(SandboxFailed):  # killed before its runner answered
                async with await environment.open(again):
                    pass
            await eventually(dead)
            await switch.release(ADMIN)
        async with await environment.open(again) as box:
            assert (await run(box, "echo alive")).output.strip() == "alive"


async def test_a_turn_at_work_ends_in_the_name_of_whoever_stopped_it() -> None:
    async with household(verify=()) as house:
        switch = KillSwitch(house.database)
        standstill = Standstill(house.database, Audit(house.database), house.commands, "web")
        house.model.script(MODEL, tool("bash", command="sleep 600"))
        session_id = await house.opened()
        async with watching(switch, house.environment):
            turn = asyncio.create_task(house.run(session_id))
            await house.until(session_id, lambda event: isinstance(event, e.ToolCalled))
            assert await standstill.stop(house.grace, "a key leaked") == 1
            view = await turn
            assert view.state == "stopped"
            events = await house.events(session_id)
            stopped = next(event for event in events if isinstance(event, e.SessionStopped))
            assert (stopped.by.name, stopped.halt) == ("Grace", "a key leaked")
            returned = [event.status for event in events if isinstance(event, e.ToolReturned)]
            assert returned == ["cancelled"]

            async def dead() -> bool:
                return not await running(house.environment)

            await eventually(dead)
        assert await standstill.resume(house.grace)
        assert not await switch.halted()


class CountedSwitch(KillSwitch):
    """As ever; `looks` counts how often it was asked."""

    looks = 0

    async def halted(self) -> bool:
        self.looks += 1
        return await super().halted()


async def test_a_box_killed_before_its_turn_is_told_why_is_not_opened_again() -> None:
    async with household(verify=()) as house:
        switch = CountedSwitch(house.database)
        house.model.script(MODEL, tool("bash", command="sleep 600"))
        session_id = await house.opened()
        with capture_logs() as lines:
            async with watching(switch, house.environment):
                turn = asyncio.create_task(house.run(session_id))
                await house.until(session_id, lambda event: isinstance(event, e.ToolCalled))
                await switch.engage(ADMIN, "a key leaked")

                async def noticed() -> bool:
                    return any(line["event"] == "sandbox lost" for line in lines)

                await eventually(noticed)
                seen = switch.looks

                async def looked_again() -> bool:
                    return switch.looks > seen + 2

                await eventually(looked_again)
                assert await house.commands.stop_turn(session_id, house.grace, "a key leaked")
                assert (await turn).state == "stopped"
            assert sum(line["event"] == "box killed" for line in lines) == 1
        events = await house.events(session_id)
        assert not any(isinstance(event, e.SandboxLost) for event in events)
        assert [event.status for event in events if isinstance(event, e.ToolReturned)] == ["cancelled"]


async def test_no_call_begins_while_all_is_halted() -> None:
    async with household(verify=()) as house:
        switch = KillSwitch(house.database)
        session_id = await house.opened()
        turn = await house.begun(session_id)

        def never(call_id: str) -> ToolContext:
            raise AssertionError("no tool is known, so none is run")

        workspace = await house.workspace(turn)
        calls = CallRunner({}, turn, workspace, never, switch.halted)
        assert await calls.run([ToolRequest(call_id="c1", tool="dance", arguments="{}")]) is None
        await switch.engage(ADMIN, "")
        before = await house.events(session_id)
        assert [type(event) for event in before[-2:]] == [e.ToolCalled, e.ToolReturned]
        with pytest.raises(StopSeen):
            await calls.run([ToolRequest(call_id="c2", tool="dance", arguments="{}")])
        assert await house.events(session_id) == before
