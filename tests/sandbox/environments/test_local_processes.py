"""Whether a box of namespaces runs is known, of one that has just ended and of one that was just begun."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path

from sandbox.environments.local_namespace import LocalEnvironment
from sandbox.environments.local_processes import BoxRecord, started_ticks_of
from sandbox.environments.protocol import SandboxSpec
from tests.sandbox.environments.boxes import Bench, call_id, run
from tests.session.room import eventually


def record(pid: int, started_ticks: int | None) -> BoxRecord:
    return BoxRecord("box", "s1", {}, "id", pid, started_ticks)


def test_a_box_runs_while_that_very_process_lives() -> None:
    with subprocess.Popen(["sleep", "600"]) as process:
        started = started_ticks_of(process.pid)
        assert started is not None
        assert record(process.pid, started).running()
        assert not record(process.pid, started - 1).running()
        process.kill()
    assert not record(process.pid, started).running()
    # It had ended before anybody could write down when it began.
    assert not record(process.pid, started_ticks_of(process.pid)).running()


HOLD = 'python3 -c \'import time; x = b"x" * ({} << 20); open("{}", "w"); time.sleep({})\''


async def test_what_a_finished_call_left_behind_ends_for_its_memory_and_not_the_call_that_runs(
    tmp_path: Path,
) -> None:
    bench = Bench(LocalEnvironment(directory=tmp_path), tmp_path)
    async with bench.box() as box:
        await run(box, f"{HOLD.format(110, 'left', 600)} & until [ -e left ]; do sleep 0.02; done")
        begun: asyncio.Queue[str] = asyncio.Queue()
        wait = "echo up; until [ -e done ]; do sleep 0.02; done; echo fine"
        calls = []
        for _ in range(8):
            # One after another, so that the first look at what the box holds is nearly always one for them.
            call = box.runner.exec(call_id(), wait, timeout_seconds=60, on_output=begun.put_nowait)
            calls.append(asyncio.create_task(call))
            assert await begun.get() == "up\n"
        done = await run(box, f"{HOLD.format(120, 'held', 1)}; touch done")
        assert (done.exit_code, done.cause) == (0, None)
        assert [(await call).output for call in calls] == ["up\nfine\n"] * 8


async def test_a_box_whose_opening_is_given_up_is_known_all_the_same(tmp_path: Path) -> None:
    environment = LocalEnvironment(directory=tmp_path)
    spec = SandboxSpec("s1", "given-up", None, tmp_path / "in")

    async def is_begun() -> bool:
        return (tmp_path / "boxes" / spec.name / "pid").exists()

    opening = asyncio.create_task(environment.open(spec))
    await eventually(is_begun)
    opening.cancel()
    await asyncio.wait([opening])
    assert opening.cancelled()
    try:
        async with await environment.open(spec) as box:
            assert box.adopted
            assert [(box.name, box.running) for box in await environment.list()] == [(spec.name, True)]
    finally:
        await environment.remove(spec.name)
