"""A box that does its worst, and the tool calls of its neighbour meanwhile."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass, replace

from sandbox.environments.protocol import Sandbox, SandboxLimits
from sandbox.environments.runner_client import RunnerError
from tests.attacks.outside import program
from tests.benchmarks._sandbox_yard import Yard, call, p95
from tests.benchmarks.report import Report
from tests.sandbox.environments.boxes import LIMITS, call_id, run

# As sessions have them, but for what would take minutes to fill.
BOMB_LIMITS = replace(SandboxLimits(), memory_bytes=LIMITS.memory_bytes, disk_bytes=LIMITS.disk_bytes)
BOMB_SECONDS = 5.0
# An agent thinks between its calls.
THOUGHT_SECONDS = 0.02
NEIGHBOUR_BAR = 2.0
# Long enough for the watch over a box's disk to see what is wrong and for its end.
ACT_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Bomb:
    """Something that a box does again and again. `cause`: how a call that did it has to end, if it ends."""

    name: str
    command: str
    cause: str | None = None


BOMBS = (
    Bomb("fork bomb", "bomb() { bomb | bomb & }; bomb; sleep 2"),
    Bomb("memory hog", "exec python3 bombs.py memory", cause="out of memory"),
    Bomb("disk filler", "rm -rf full; exec python3 bombs.py disk full", cause="disk full"),
    Bomb("disk filler by files", "rm -rf many; exec python3 bombs.py inodes many", cause="disk full"),
    Bomb("spinner", "for n in 1 2 3 4; do while :; do :; done & done; sleep 2; kill $(jobs -p)"),
    Bomb("log flood", "timeout 2 yes a line that goes on and on; timeout 2 yes flood > /proc/1/fd/1; true"),
)


async def bombs(report: Report, boxes: Yard) -> None:
    """Note for each bomb what the neighbour's calls take beside their quiet time, and how many were held."""
    contained = []
    for bomb in BOMBS:
        async with (
            boxes.bench.box(boxes.spec(limits=BOMB_LIMITS)) as box,
            boxes.bench.box(boxes.spec()) as neighbour,
        ):
            await box.runner.write_file(call_id(), "bombs.py", program("bombs"))
            quiet = await _calls(neighbour, BOMB_SECONDS / 2)
            loud, held = await _beside(bomb, box, neighbour)
            contained += [bomb.name] if held and await _works(box) else []
            # What a call left running goes on, as a server would that was started by it.
            await box.kill()
            quiet += await _calls(neighbour, BOMB_SECONDS / 2)
        report.add(f"neighbour of a {bomb.name}, p95", p95(loud), "ms")
        ratio = p95(loud) / p95(quiet)
        report.add(f"neighbour of a {bomb.name}, of its quiet p95", ratio, "x", at_most=NEIGHBOUR_BAR)
    named = ", ".join(bomb.name for bomb in BOMBS if bomb.name not in contained) or "none"
    report.add(f"bombs contained, left out: {named}", len(contained), "bombs", at_least=len(BOMBS))


async def _beside(bomb: Bomb, box: Sandbox, neighbour: Sandbox) -> tuple[list[float], bool]:
    """The neighbour's calls while the bomb goes off, and whether it ended each time as it has to."""
    over = asyncio.Event()
    going = asyncio.create_task(_explode(bomb, box, over))
    loud = await _calls(neighbour, BOMB_SECONDS)
    over.set()
    return loud, await going


async def _explode(bomb: Bomb, box: Sandbox, over: asyncio.Event) -> bool:
    held = True
    while not over.is_set():
        done = await run(box, bomb.command, ACT_SECONDS)
        held = held and not done.timed_out and "kept" not in done.output
        held = held and (bomb.cause is None or (done.cause or "").startswith(bomb.cause))
    return held


async def _calls(box: Sandbox, seconds: float) -> list[float]:
    found = []
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        found.append(await call(box))
        await asyncio.sleep(THOUGHT_SECONDS)
    return found


async def _works(box: Sandbox) -> bool:
    """Whether the box is of use after all that."""
    with suppress(RunnerError):
        return (await run(box, "rm -rf full many; echo $((6 * 7)) | cat")).output == "42\n"
    return False
