"""The engine goes away, or refuses, at each request of each operation: what is raised is what is promised."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from docker import DockerClient

from sandbox.environments.docker_engine import DockerEnvironment
from sandbox.environments.images import ImageTag, ImageUnavailable, WantedBase
from sandbox.environments.protocol import (
    SESSION_LABEL,
    EnvironmentUnavailable,
    Sandbox,
    SandboxFailed,
    SandboxSpec,
)
from sandbox.environments.runner_launch import SOCKET_NAME
from sandbox.environments.service import ServiceFailed, ServiceSpec
from sandbox.session_boxes import box_name
from sandbox.snapshots import Finished
from session.snapshots import Snapshots
from tests.emulators.model.turns import tool
from tests.faults.failing_engine import FailingEngine, Fault, failing_engine
from tests.faults.waiting import until
from tests.sandbox.environments.boxes import run
from tests.sandbox.household import MODEL, household
from tests.sandbox.test_jobs import FINISH

pytestmark = pytest.mark.needs("docker")

REFUSALS = (EnvironmentUnavailable, SandboxFailed, ServiceFailed, ImageUnavailable)
MOST_REQUESTS = 40
NAME = "bellhop-away"


@asynccontextmanager
async def connected(engine: FailingEngine, home: Path, base_image: str) -> AsyncIterator[DockerEnvironment]:
    """The environment by a connection of its own, as a worker has it that has just begun."""
    environment = DockerEnvironment(
        run_directory=home / "run", base_image=base_image, cache=home / "cache", base_url=engine.address
    )
    try:
        yield environment
    finally:
        await environment.aclose()


def spec(home: Path, name: str = NAME, session_id: str = "nobody") -> SandboxSpec:
    return SandboxSpec(session_id, name, None, home / "in" / name)


@dataclass(frozen=True, slots=True)
class Act:
    """An operation that asks the engine. With `box` it is given one that was opened with nothing in the way;
    `slow` ones are tried against an engine that is gone, and not again against one that refuses."""

    work: Callable[[DockerEnvironment, Sandbox | None], Awaitable[object]]
    box: bool = False
    slow: bool = False


def acts(home: Path, base_image: str) -> dict[str, Act]:
    """Every operation, each to be tried again and again on the same box."""
    idle = ServiceSpec("idle", base_image, command=("sleep", "600"))

    async def opened(environment: DockerEnvironment, _: Sandbox | None) -> None:
        async with await environment.open(spec(home)):
            pass

    async def created(environment: DockerEnvironment, _: Sandbox | None) -> None:
        async with await environment.open(spec(home, f"{NAME}-new")) as box:
            await box.remove()

    async def snapshot(environment: DockerEnvironment, _: Sandbox | None) -> None:
        await environment.remove_snapshot(await environment.snapshot(NAME, "t1"))

    async def kept(environment: DockerEnvironment, box: Sandbox | None) -> None:
        assert box is not None
        image = await box.keep(ImageTag("acme/away", "1"), {})
        await environment.remove_image(image.reference)

    def of_box(work: Callable[[Sandbox], Awaitable[object]]) -> Act:
        return Act(lambda _, box: work(box) if box else outcome(asyncio.sleep(0)), box=True, slow=True)

    return {
        "check": Act(lambda environment, _: environment.check()),
        "prepare": Act(lambda environment, _: environment.prepare()),
        "place": Act(lambda environment, _: environment.place()),
        "list": Act(lambda environment, _: environment.list()),
        "images": Act(lambda environment, _: environment.images()),
        "base": Act(lambda environment, _: environment.base(WantedBase(image=base_image))),
        "own base": Act(lambda environment, _: environment.base(WantedBase())),
        "create": Act(created, slow=True),
        "open": Act(opened),
        "cause of death": of_box(lambda box: box.cause_of_death()),
        "kill": of_box(lambda box: box.kill()),
        "stop": of_box(lambda box: box.stop()),
        "snapshot": Act(snapshot),
        "snapshots": Act(lambda environment, _: environment.snapshots()),
        "keep": Act(kept, box=True, slow=True),
        "service": Act(lambda environment, _: environment.open_service(NAME, idle), box=True),
        "sweep": Act(lambda environment, _: environment.sweep_services()),
        "end": Act(lambda environment, _: environment.end(NAME)),
        "remove": Act(lambda environment, _: environment.remove(NAME)),
    }


@pytest.mark.parametrize("refuses", [False, True], ids=["cut", "refuses"])
async def test_at_each_request_the_promised_error_is_raised_and_no_other(
    refuses: bool,
    docker_environment: DockerEnvironment,
    docker_host: str,
    base_image: str,
    bellhop_home: Path,
) -> None:
    failed = 0
    async with failing_engine(bellhop_home / "engine.sock", docker_host) as engine:
        try:
            for name, act in acts(bellhop_home, base_image).items():
                if refuses and act.slow:
                    continue
                for passed in range(MOST_REQUESTS):
                    fault: Fault = "refuses" if refuses else "before" if passed % 2 else "after"
                    async with connected(engine, bellhop_home, base_image) as environment:
                        raised = await disturbed(engine, environment, act, passed, fault)
                    if not engine.happened.is_set():
                        assert raised is None, f"{name} undisturbed: {raised!r}"
                        break
                    failed += 1
                    if refuses:
                        assert raised is None or isinstance(raised, REFUSALS), f"{name} {passed}: {raised!r}"
                    else:
                        assert isinstance(raised, EnvironmentUnavailable), f"{name} {passed}: {raised!r}"
                else:
                    raise AssertionError(f"{name} has no end")
        finally:
            for left in (NAME, f"{NAME}-new"):
                await docker_environment.remove(left)
    assert failed > len(acts(bellhop_home, base_image))


async def disturbed(
    engine: FailingEngine, environment: DockerEnvironment, act: Act, passed: int, fault: Fault
) -> Exception | None:
    """What the act raised when the fault happened after so many of its requests."""
    engine.mend()
    if not act.box:
        engine.fail_after(passed, fault)
        return await outcome(act.work(environment, None))
    async with await environment.open(spec(engine.directory)) as box:
        engine.fail_after(passed, fault)
        return await outcome(act.work(environment, box))


async def outcome(work: Awaitable[object]) -> Exception | None:
    """What it raised."""
    try:
        await work
    except Exception as error:  # noqa: BLE001 - the caller looks at it
        return error
    return None


async def test_a_box_that_dies_or_is_taken_away_while_it_is_asked_for_is_there_all_the_same(
    docker_environment: DockerEnvironment, docker_host: str, base_image: str, bellhop_home: Path
) -> None:
    wanted = spec(bellhop_home, session_id=bellhop_home.name)
    async with (
        failing_engine(bellhop_home / "engine.sock", docker_host) as engine,
        connected(engine, bellhop_home, base_image) as environment,
    ):
        async with await docker_environment.open(wanted):
            pass
        # What runs in it cannot be reached, and ends before anybody can end it.
        (bellhop_home / "run" / NAME / SOCKET_NAME).unlink()
        engine.first(b"/kill", lambda: docker_environment.end(NAME))
        async with await environment.open(wanted) as box:
            assert box.origin == "restarted"
            filled = await run(box, "for i in $(seq 2000); do echo x >~/$i; done")
            assert filled.exit_code == 0

        # The more is in it, the longer its engine takes to forget it.
        with closing(DockerClient(base_url=docker_host)) as client:
            [found] = client.containers.list(filters={"label": f"{SESSION_LABEL}={wanted.session_id}"})
            removing = asyncio.create_task(asyncio.to_thread(found.remove, force=True))
            while "running" in await asyncio.to_thread(states, client, wanted):
                pass
            async with await environment.open(wanted) as box:
                assert box.origin == "created"
            await removing
        await docker_environment.remove(NAME)


def states(client: DockerClient, box: SandboxSpec) -> list[str]:
    """How the box's containers are; other boxes of that name are other tests'."""
    found = client.api.containers(all=True, filters={"label": f"{SESSION_LABEL}={box.session_id}"})
    return [str(each["State"]) for each in found]


async def test_what_runs_beside_the_turns_outlives_an_engine_that_is_away(
    docker_environment: DockerEnvironment, docker_host: str, base_image: str, bellhop_home: Path
) -> None:
    async with (
        failing_engine(bellhop_home / "engine.sock", docker_host) as engine,
        connected(engine, bellhop_home, base_image) as environment,
        household(environment=environment, verify=()) as house,
        asyncio.TaskGroup() as tasks,
    ):
        house.model.script(MODEL, tool("bash", command="echo kept > notes.md"), FINISH)
        view = await house.run(await house.opened())
        box = box_name(view.id)
        await house.parts.snapshots.settle()
        record = Snapshots(house.database)
        [taken] = await record.of(view.id, await environment.place())
        await record.drop(taken.reference)
        again = Finished(view.id, box, taken.repository, taken.turns, taken.checkpoint)

        async with await docker_environment.open(spec(bellhop_home)):
            pass
        engine.fail_after(0, "before")
        loops = [house.reaper().run(0.01), house.parts.snapshots.run()]
        running = [tasks.create_task(loop) for loop in loops]
        house.parts.snapshots.ask(again)
        await until(lambda: engine.turned_away > 10, "the loops ask an engine that is away")
        assert not any(task.done() for task in running)

        engine.mend()
        house.parts.snapshots.ask(again)

        async def swept() -> bool:
            return NAME not in [info.name for info in await docker_environment.list()]

        async def copied() -> bool:
            return bool(await record.of(view.id, await environment.place()))

        await until(swept, "the reaper removes a box that nobody knows")
        await until(copied, "the snapshot is taken")
        for task in running:
            task.cancel()
        await asyncio.wait(running)
        await environment.remove_snapshot(taken.reference)
