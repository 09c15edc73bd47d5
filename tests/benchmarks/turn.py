"""What a turn costs beyond its tool calls: a whole turn with a model that answers at once, against the
calls alone."""

from __future__ import annotations

import itertools
import json
import statistics
import time
from collections.abc import Sequence
from dataclasses import replace

from sandbox.agent.model import ModelMessage, ModelReply, OnText, ToolCallRequest, ToolSchema, Usage
from sandbox.driver import TurnDriver
from sandbox.environments.protocol import SandboxSpec
from sandbox.jobs import Jobs, JobTimes
from sandbox.merging import Merger
from sandbox.preference import Preference
from session import events as e
from session.boxes import Boxes
from session.concurrency import Concurrency
from session.hosts import Hosts
from tests.benchmarks.report import Report
from tests.sandbox.household import MODEL, Household, household

STEPS = 60
STEP_BAR_MILLISECONDS = 25.0
START_BAR_MILLISECONDS = 1500.0
WARM_TURNS = 9
WARM_BAR_MILLISECONDS = 150.0


class AtOnce:
    """A model that asks for `true` a number of times and then finishes, without a moment's thought."""

    def __init__(self, steps: int) -> None:
        self._left = steps
        self.first_asked = 0.0

    async def reply(
        self, messages: Sequence[ModelMessage], tools: Sequence[ToolSchema], *, on_text: OnText | None = None
    ) -> ModelReply:
        self.first_asked = self.first_asked or time.perf_counter()
        self._left -= 1
        # A command of its own each time: the same one again and again is what a stuck agent does.
        arguments = {"command": f"true {self._left}"} if self._left >= 0 else {"summary": "Done."}
        call = ToolCallRequest(
            f"call-{self._left}", "bash" if self._left >= 0 else "finish", json.dumps(arguments)
        )
        return ModelReply("", (call,), Usage(1000, 900, 10), "tool_calls", MODEL)


async def run(report: Report) -> None:
    """Note what a step takes in a turn, what the same call takes by hand, and the difference."""
    async with household(verify=()) as house:
        session_id = await house.opened()
        first = await _until_asked(house, session_id, AtOnce(STEPS))
        between = await _between_replies(house, session_id)
        warm = []
        for _ in range(WARM_TURNS):
            await house.prompt(session_id, "Go on")
            warm.append(await _until_asked(house, session_id, AtOnce(0)))
        alone = await _by_hand(house)
    step, call = statistics.median(between), statistics.median(alone)
    report.add("start to first model request, box made", first * 1000, "ms", at_most=START_BAR_MILLISECONDS)
    report.add("start to first model request, box there, p50", statistics.median(warm) * 1000, "ms",
               at_most=WARM_BAR_MILLISECONDS)  # fmt: skip
    report.add("step of a turn, p50", step * 1000, "ms")
    report.add("same call by hand, p50", call * 1000, "ms")
    report.add("ours per step, p50", (step - call) * 1000, "ms", at_most=STEP_BAR_MILLISECONDS)


async def _until_asked(house: Household, session_id: str, model: AtOnce) -> float:
    """The seconds from the beginning of the session's next turn, which runs to its end, to its first
    request."""
    driver = TurnDriver(replace(house.parts, model=lambda _, __: model))
    parts = house.parts
    merger = Merger(house.log, parts.effects, parts.catalogue, parts.forge)
    jobs = Jobs(
        log=house.log,
        leases=house.leases,
        queue=house.queue,
        switch=parts.switch,
        concurrency=Concurrency(house.database, house.log),
        preference=Preference(
            house.environment, Boxes(house.database), Hosts(house.database), house.leases, house.queue
        ),
        driver=driver,
        merger=merger,
        times=JobTimes(5, 20, 600),
    )
    started = time.perf_counter()
    await jobs.run_turn(session_id)
    return model.first_asked - started


async def _between_replies(house: Household, session_id: str) -> list[float]:
    """The seconds from each answer of the model to the next."""
    replies = [r.at for r in await house.log.read(session_id) if isinstance(r.event, e.ModelReplied)]
    if len(replies) != STEPS + 1:
        raise RuntimeError(f"the turn took {len(replies)} steps instead of {STEPS + 1}")
    return [(after - before).total_seconds() for before, after in itertools.pairwise(replies)]


async def _by_hand(house: Household) -> list[float]:
    """The seconds that the same calls take without a turn around them."""
    spec = SandboxSpec("by-hand", "bellhop-by-hand", None, house.home / "in")
    seconds = []
    try:
        async with await house.environment.open(spec) as box:
            for number in range(STEPS):
                before = time.perf_counter()
                await box.runner.exec(f"hand-{number}", f"true {number}", timeout_seconds=60)
                seconds.append(time.perf_counter() - before)
    finally:
        await house.environment.remove(spec.name)
    return seconds
