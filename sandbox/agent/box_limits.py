"""What people are told when something that the agent ran wanted more than its box may have."""

from __future__ import annotations

from sandbox.agent.turn_log import TurnLog
from sandbox.environments.runner_results import BackgroundStatus, ExecResult
from sandbox.runner.output import SPILL_BYTES
from session import events as e

CAUSES: dict[str, e.Limit] = {"out of memory": "memory", "disk full": "disk"}
"""How the runner's words for an end begin."""

STRAINS: dict[str, e.Limit] = {"processes": "processes", "processor": "processor"}


def limits_reached(turn: TurnLog, result: ExecResult) -> tuple[e.LimitReached, ...]:
    """An event for each limit that the command reached, and that the turn has not told of yet."""
    strains = [STRAINS[word] for word in result.strained if word in STRAINS]
    return _untold(turn, [*_limits_of(result.cause), *strains], result.total_bytes)


def limits_of_job(turn: TurnLog, job: BackgroundStatus) -> tuple[e.LimitReached, ...]:
    """The same for what runs beside the calls."""
    return _untold(turn, _limits_of(job.cause), job.total_bytes)


def _untold(turn: TurnLog, found: list[e.Limit], output_bytes: int) -> tuple[e.LimitReached, ...]:
    if output_bytes > SPILL_BYTES:
        found.append("output")
    told = turn.view.limits_reached
    return tuple(e.LimitReached(turn_id=turn.turn_id, limit=limit) for limit in found if limit not in told)


def _limits_of(cause: str | None) -> list[e.Limit]:
    return [limit for words, limit in CAUSES.items() if (cause or "").startswith(words)]
