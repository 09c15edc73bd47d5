"""Many boxes: eight that start at once, twenty with nothing to do, and twenty busy ones that are stopped."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Mapping
from typing import Any

from docker.models.containers import Container

from sandbox.environments.protocol import Sandbox
from tests.benchmarks._sandbox_yard import Yard
from tests.benchmarks.report import Report
from tests.sandbox.environments.boxes import call_id

TOGETHER, TOGETHER_ROUNDS = 8, 3
TOGETHER_BAR = 4.0
CROWD = 20
IDLE_SECONDS = 10.0
IDLE_BAR_MEGABYTES = 300.0
IDLE_BAR_PERCENT = 5.0
STOP_BAR_SECONDS = 5.0


async def at_once(report: Report, boxes: Yard, floor_milliseconds: float, start_milliseconds: float) -> None:
    """Note how long so many starts take that begin together, beside one, and the same of `docker run`.

    `floor_milliseconds` and `start_milliseconds` are what one takes alone.
    """
    floors, rounds = [], []
    for _ in range(TOGETHER_ROUNDS):
        floors.append(max(await asyncio.gather(*(boxes.docker_run() for _ in range(TOGETHER)))) * 1000)
        started = time.perf_counter()
        opened = await _opened(boxes, TOGETHER)
        rounds.append((time.perf_counter() - started) * 1000)
        await _removed(opened)
    floor, took = statistics.median(floors), statistics.median(rounds)
    report.add(f"{TOGETHER} docker runs at once, of one", floor / floor_milliseconds, "x")
    report.add(f"{TOGETHER} starts at once, p50", took, "ms")
    report.add(f"{TOGETHER} starts at once, of one", took / start_milliseconds, "x", at_most=TOGETHER_BAR)


async def idle_boxes(report: Report, boxes: Yard) -> None:
    """Note what boxes take that nobody calls, as `docker stats` counts: by cgroup, less idle file cache."""
    opened = await _opened(boxes, CROWD)
    containers = _containers(boxes, opened)
    before = await asyncio.to_thread(_usage, containers)
    await asyncio.sleep(IDLE_SECONDS)
    after = await asyncio.to_thread(_usage, containers)
    memory = sum(figures["memory_stats"]["usage"] - _idle_cache(figures) for figures in after)
    share = sum(
        (late["cpu_stats"]["cpu_usage"]["total_usage"] - early["cpu_stats"]["cpu_usage"]["total_usage"])
        / ((late["seen"] - early["seen"]) * 1e9)
        for early, late in zip(before, after, strict=True)
    )
    await _removed(opened)
    report.add(f"memory of {CROWD} idle boxes, by cgroup", memory / 1e6, "MB", at_most=IDLE_BAR_MEGABYTES)
    report.add(f"processor time of {CROWD} idle boxes", share * 100, "% of a core", at_most=IDLE_BAR_PERCENT)


async def stopping(report: Report, boxes: Yard) -> None:
    """Note how long it takes until so many busy boxes are dead."""
    opened = await _opened(boxes, CROWD)
    for box in opened:
        await box.runner.background_start(call_id(), "while :; do :; done")
    started = time.perf_counter()
    await asyncio.gather(*(box.kill() for box in opened))
    took = time.perf_counter() - started
    alive = [info.name for info in await boxes.bench.environment.list() if info.running]
    if alive:
        raise RuntimeError(f"these boxes were killed and run: {', '.join(alive)}")
    await _removed(opened)
    report.add(f"stop of {CROWD} busy boxes", took, "s", at_most=STOP_BAR_SECONDS)


async def _opened(boxes: Yard, count: int) -> list[Sandbox]:
    return await asyncio.gather(*(boxes.opened(boxes.spec()) for _ in range(count)))


async def _removed(opened: list[Sandbox]) -> None:
    await asyncio.gather(*(box.remove() for box in opened))


def _containers(boxes: Yard, opened: list[Sandbox]) -> list[Container]:
    names = {box.name for box in opened}
    found = boxes.client.containers.list(filters={"label": "bellhop.box"})
    return [container for container in found if container.labels["bellhop.box"] in names]


def _usage(containers: list[Container]) -> list[dict[str, Any]]:
    """The engine's figures of each, and when they were asked for. Source: Engine API, ContainerStats."""
    found: list[dict[str, Any]] = []
    for container in containers:
        figures = container.stats(stream=False, one_shot=True)
        assert isinstance(figures, dict)
        found.append({**figures, "seen": time.monotonic()})
    return found


def _idle_cache(figures: Mapping[str, Any]) -> int:
    """File cache that the kernel takes back first, in cgroups of version 2 or 1."""
    details = figures["memory_stats"].get("stats", {})
    return int(details.get("inactive_file", details.get("total_inactive_file", 0)))
