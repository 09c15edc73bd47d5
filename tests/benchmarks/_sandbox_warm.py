"""How soon a session's first call is answered: by a box that waited in the pool, and by one made for it."""

from __future__ import annotations

import time

from sandbox.environments.protocol import Sandbox, SandboxSpec
from tests.benchmarks._sandbox_yard import Yard, call, p50
from tests.benchmarks.report import Report
from tests.sandbox.household import Household, household

ROUNDS = 15
WARM_RATIO_BAR = 0.5


async def warm_starts(report: Report, boxes: Yard) -> None:
    """Note both, each with the record and the broker's door as sessions have them."""
    cold: list[float] = []
    warm: list[float] = []
    async with household(environment=boxes.bench.environment, policy={"warm": 1}) as house:
        for counts in [False] + [True] * ROUNDS:
            await house.pool.empty()
            made = await _start(house, waited=False)
            await house.pool.look()
            taken = await _start(house, waited=True)
            if counts:
                cold.append(made)
                warm.append(taken)
    report.add("warm start until the first call is answered, p50", p50(warm), "ms")
    report.add("the same for a box made for the session, p50", p50(cold), "ms")
    report.add("warm start, of the same cold", p50(warm) / p50(cold), "x", at_most=WARM_RATIO_BAR)


async def _start(house: Household, *, waited: bool) -> float:
    """The seconds until a new session's box has answered. Raises: RuntimeError for one of the other kind."""
    session_id, repository, parts = await house.opened(), house.repository, house.parts
    started = time.perf_counter()
    wanted = SandboxSpec(session_id, "", None, house.home)
    name, is_warm = await parts.boxes.choose(session_id, wanted, repository)
    door = await parts.doors.open(session_id, name, repository)
    spec = SandboxSpec(session_id, name, None, parts.places.inbound / name, door=door.directory)
    box: Sandbox = await house.environment.open(spec)
    await parts.boxes.give(session_id, name)
    await call(box)
    took = time.perf_counter() - started
    await box.remove()
    if is_warm != waited:
        raise RuntimeError(f"box {name} was {'' if is_warm else 'not '}one that had waited")
    return took
