"""Three Python projects and one of Node, at fixed versions from the package registries: their images, their
own test suites in boxes, and how soon an agent can begin in them."""

from __future__ import annotations

import asyncio
import re
import statistics
import subprocess
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from deploy.demo.replies import Reply
from sandbox.agent.tools.bash import MAX_TIMEOUT_SECONDS
from tests.benchmarks._project_house import NotAsExpected, ProjectHouse, TurnSeen, house
from tests.benchmarks._projects import PROJECTS, Project
from tests.benchmarks.report import Report
from tests.emulators.model.turns import tool

ROUNDS = 3
HOST_SECONDS = 600
# An image that saves less than half of the wait is not worth its disk.
COLD_SHARE_BAR = 0.5
# As pytest and tape say it in the end.
PYTEST_END = re.compile(r"^=* ?((?:\d+ \w+, )*\d+ \w+) in [\d.]+s\b", re.MULTILINE)
PYTEST_COUNT = re.compile(r"(\d+) (passed|failed|skipped|errors?)\b")
TAPE_COUNT = re.compile(r"^# (pass|fail|skip) +(\d+)$", re.MULTILINE)
NAMES = {"pass": "passed", "fail": "failed", "skip": "skipped", "error": "failed", "errors": "failed"}
FIRST = tool("bash", command="true")
FINISH = tool("finish", summary="The tests ran.")


@dataclass(frozen=True, slots=True)
class Suite:
    """How a test suite ended: how many tests by their verdict, in how many seconds."""

    passed: int
    failed: int
    skipped: int
    seconds: float

    @property
    def verdict(self) -> tuple[int, int, int]:
        """The counts alone."""
        return self.passed, self.failed, self.skipped


async def run(report: Report) -> None:
    """Note the figures of each project: on this host, in a box without an image, and with one."""
    async with house(PROJECTS) as place:
        on_host = {each.slug: await asyncio.to_thread(_on_host, each, place) for each in PROJECTS}
        async with place.worker(images=False):
            without = {each.slug: await _without_image(place, each) for each in PROJECTS}
        async with place.worker(images=True):
            for each in PROJECTS:
                build = await place.built(each)
                assert build.finished_at is not None
                built = (build.finished_at - build.started_at).total_seconds()
                report.add(f"{each.title}: image built in", built, "s")
                report.add(
                    f"{each.title}: image, beyond the base",
                    (build.size_bytes - place.base_bytes) / 1024**2,
                    "MB",
                )
            for each in PROJECTS:
                await _with_image(report, place, each, on_host[each.slug], without[each.slug])
        async with place.worker(images=True, warm=len(PROJECTS)):
            for each in PROJECTS:
                report.add(f"{each.title}: first call, warm", await _warm(place, each), "s")


def _on_host(project: Project, place: ProjectHouse) -> Suite:
    """The floor: the same commands in a clone on this host, without a box around them."""
    with tempfile.TemporaryDirectory(prefix="bellhop-bench-") as name:
        clone = Path(name) / project.name
        _shell(Path(name), f"git clone --quiet {place.repositories[project.slug]} {clone}")
        for command in project.setup:
            _shell(clone, command)
        started = time.perf_counter()
        said = _shell(clone, project.suite, check=False)
        return counted(said, time.perf_counter() - started)


def _shell(directory: Path, command: str, *, check: bool = True) -> str:
    done = subprocess.run(
        ["bash", "-c", command], cwd=directory, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, check=check, timeout=HOST_SECONDS,
    )  # fmt: skip
    return done.stdout


async def _without_image(place: ProjectHouse, project: Project) -> float:
    """Seconds until the first call is answered in a box that begins with the base, a clone and the set-up."""
    seen = await place.first_turn(project, FIRST, FINISH)
    if seen.boxes[0].image:
        raise NotAsExpected(f"{project.title} began with the image {seen.boxes[0].image}")
    return seen.first_call


async def _with_image(
    report: Report, place: ProjectHouse, project: Project, on_host: Suite, without: float
) -> None:
    cold, first = await _cold(place, project)
    before = await _worked(place, project, first.session_id)
    restored, after = await _restored(place, project, first.session_id)
    title = project.title
    report.add(f"{title}: tests passed in the box", before.passed, "tests", at_least=on_host.passed)
    report.add(f"{title}: … failed", before.failed, "tests", at_most=on_host.failed)
    report.add(f"{title}: … skipped", before.skipped, "tests")
    report.add(f"{title}: tests in the box", before.seconds, "s")
    report.add(f"{title}: tests on this host", on_host.seconds, "s")
    differing = sum(a != b for a, b in zip(before.verdict, after.verdict, strict=True))
    report.add(f"{title}: counts that differ after a restore", differing, "counts", at_most=0)
    report.add(f"{title}: first call, base + clone + set-up", without, "s")
    report.add(f"{title}: first call, cold", cold, "s")
    report.add(f"{title}: … of base + clone + set-up", cold / without, "x", at_most=COLD_SHARE_BAR)
    report.add(f"{title}: first call, restored", restored, "s")


async def _cold(place: ProjectHouse, project: Project) -> tuple[float, TurnSeen]:
    """Seconds until the first call is answered in a new box of the image, p50; the last such turn."""
    seen = [await place.first_turn(project, FIRST, FINISH) for _ in range(ROUNDS)]
    for each in seen:
        if not each.boxes[0].image:
            raise NotAsExpected(f"{project.title} began without its image")
    return statistics.median(each.first_call for each in seen), seen[-1]


async def _warm(place: ProjectHouse, project: Project) -> float:
    """Seconds until the first call is answered in a box that waited, p50."""
    seconds = []
    for _ in range(ROUNDS):
        await place.warmed(project)
        seen = await place.first_turn(project, FIRST, FINISH)
        if seen.boxes[0].how != "warm":
            raise NotAsExpected(f"{project.title} began in a box that had not waited: {seen.boxes[0].how}")
        seconds.append(seen.first_call)
    return statistics.median(seconds)


async def _worked(place: ProjectHouse, project: Project, session_id: str) -> Suite:
    """What an agent does: it changes something, runs the test of that, and then all tests."""
    steps = []
    if project.edit is not None:
        change = project.edit
        steps += [tool("edit_file", path=change.path, old_string=change.old, new_string=change.new)]
        steps += [tool("bash", command=change.test)]
    seen = await place.next_turn(session_id, *steps, _suite(project), FINISH)
    for done in seen.calls[:-2]:
        if done.status != "ok":
            raise NotAsExpected(f"{project.title}: {done.output}")
    return _found(seen)


async def _restored(place: ProjectHouse, project: Project, session_id: str) -> tuple[float, Suite]:
    """Seconds until the first call is answered in a box that comes back from its snapshot, p50; how the tests
    end there."""
    seconds: list[float] = []
    for number in range(ROUNDS):
        await place.lose_box(session_id)
        last = [_suite(project)] if number == ROUNDS - 1 else []
        seen = await place.next_turn(session_id, FIRST, *last, FINISH)
        if not seen.boxes[0].restored.startswith("everything is as it was"):
            raise NotAsExpected(f"{project.title} came back with {seen.boxes[0].restored!r}")
        seconds.append(seen.first_call)
    return statistics.median(seconds), _found(seen)


def _suite(project: Project) -> Reply:
    return tool("bash", command=project.suite, timeout_seconds=MAX_TIMEOUT_SECONDS)


def _found(seen: TurnSeen) -> Suite:
    """The verdict of the suite, which is the last call before the end."""
    done = [call for call in seen.calls if call.tool == "bash"][-1]
    return counted(done.output, done.duration_seconds)


def counted(said: str, seconds: float) -> Suite:
    """What a suite's last words say. Raises: NotAsExpected, where they say nothing."""
    found: Counter[str] = Counter()
    for end in PYTEST_END.findall(said)[-1:]:
        for count, verdict in PYTEST_COUNT.findall(end):
            found[NAMES.get(verdict, verdict)] += int(count)
    for verdict, count in TAPE_COUNT.findall(said):
        found[NAMES[verdict]] += int(count)
    if not found["passed"]:
        raise NotAsExpected(f"a test suite ended with {said[-1500:]!r}")
    return Suite(found["passed"], found["failed"], found["skipped"], seconds)
