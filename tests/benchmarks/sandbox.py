"""Boxes beside bare `docker run` and `docker exec`, and beside two peers on the same image, in the same run:
how soon a box works, what a tool call costs, and what a crowd or a bomb does to the others."""

from __future__ import annotations

import time

from sandbox.environments.protocol import SandboxSpec
from tests.benchmarks._sandbox_bombs import bombs
from tests.benchmarks._sandbox_crowd import at_once, idle_boxes, stopping
from tests.benchmarks._sandbox_peers import NAMES, REX_EXECUTE, Peers, peers
from tests.benchmarks._sandbox_warm import warm_starts
from tests.benchmarks._sandbox_yard import Yard, call, p50, p95, yard
from tests.benchmarks.report import Bar, Figure, Report
from tests.sandbox.environments.boxes import run as run_in

START_ROUNDS = 15
START_RATIO_BAR = 1.3
RESTORE_RATIO_BAR = 1.3
SNAPSHOT_FILES = 2000
# Of each round; the slow ones take part with fewer calls, so that all meet the same noise.
CALL_ROUNDS, CALLS, SLOW_CALLS = 20, 25, 3
CALL_P50_BAR_MILLISECONDS = 6.0
CALL_P95_BAR_MILLISECONDS = 20.0
EXEC_RATIO_BAR = 0.1


async def run(report: Report) -> None:
    """Note the figures of one box first, then those of many."""
    async with yard() as boxes:
        floor, start = await _starts(report, boxes)
        await warm_starts(report, boxes)
        async with peers(boxes) as others:
            await _calls(report, boxes, others)
        await at_once(report, boxes, floor, start)
        await idle_boxes(report, boxes)
        await stopping(report, boxes)
        await bombs(report, boxes)


async def _starts(report: Report, boxes: Yard) -> tuple[float, float]:
    """Cold starts and restores beside `docker run … true`; the medians of that and of a cold start, in ms."""
    async with boxes.bench.box(boxes.spec()) as box:
        await run_in(box, f"mkdir src; for n in $(seq {SNAPSHOT_FILES}); do echo line $n > src/$n; done")
        snapshot = await box.snapshot("bench")
    floor: list[float] = []
    cold: list[float] = []
    restored: list[float] = []
    # The first round is not counted: it places the runner, and fills the caches of everybody.
    for counts in [False] + [True] * START_ROUNDS:
        seconds = (
            await boxes.docker_run(),
            await _start(boxes, boxes.spec()),
            await _start(boxes, boxes.spec(image=snapshot)),
        )
        if counts:
            for found, took in zip((floor, cold, restored), seconds, strict=True):
                found.append(took)
    await boxes.bench.environment.remove_snapshot(snapshot)
    report.add("docker run … true, p50", p50(floor), "ms")
    report.add("cold start until the first call is answered, p50", p50(cold), "ms")
    report.add("cold start, of docker run", p50(cold) / p50(floor), "x", at_most=START_RATIO_BAR)
    report.add("restore until the first call is answered, p50", p50(restored), "ms")
    report.add("restore, of a cold start", p50(restored) / p50(cold), "x", at_most=RESTORE_RATIO_BAR)
    return p50(floor), p50(cold)


async def _start(boxes: Yard, spec: SandboxSpec) -> float:
    started = time.perf_counter()
    box = await boxes.opened(spec)
    took = time.perf_counter() - started
    await box.remove()
    return took


async def _calls(report: Report, boxes: Yard, others: Peers) -> None:
    """A tool call of `true`, by every way to make one."""
    ours: list[float] = []
    floor: list[float] = []
    theirs: dict[str, list[float]] = {name: [] for name in NAMES if name not in others.missing}
    async with boxes.bench.box(boxes.spec()) as box:
        (container,) = boxes.client.containers.list(filters={"label": f"bellhop.box={box.name}"})
        for _ in range(CALL_ROUNDS):
            ours += [await call(box) for _ in range(CALLS)]
            floor += [await boxes.docker("exec", str(container.id), "true") for _ in range(SLOW_CALLS)]
            for name, found in theirs.items():
                found += await others.calls(name, CALLS if name == REX_EXECUTE else SLOW_CALLS)
    report.add("tool call, p50", p50(ours), "ms", at_most=CALL_P50_BAR_MILLISECONDS)
    report.add("tool call, p95", p95(ours), "ms", at_most=CALL_P95_BAR_MILLISECONDS)
    report.add("docker exec … true, p50", p50(floor), "ms")
    report.add("tool call, of docker exec", p50(ours) / p50(floor), "x", at_most=EXEC_RATIO_BAR)
    for name in NAMES:
        if name in others.missing:
            report.add(f"{name} did not run: {others.missing[name]}", 0, "calls")
            continue
        report.add(f"{name}, p50", p50(theirs[name]), "ms")
        ratio = p50(ours) / p50(theirs[name])
        report.add_figure(f"tool call, of {name}", Figure(ratio, "x", Bar("<", 1.0)))
