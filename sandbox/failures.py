"""How a turn that could not go on is told: by a sentence with a cause and an advice, or by waiting."""

from __future__ import annotations

from sandbox.base_commit import BadBase
from sandbox.broker.client import BrokerFailed
from sandbox.broker.git import GitFailed
from sandbox.broker.quarantine import QuarantineRefused
from sandbox.broker.rights import NotPermitted
from sandbox.environments.protocol import EnvironmentUnavailable, SandboxFailed
from sandbox.environments.runner_client import RunnerError
from sandbox.forge.protocol import ForgeError, ForgeUnavailable
from session import events as e
from session.catalogue import UnknownRepository

EXPECTED = (NotPermitted, UnknownRepository, BadBase, ForgeError, EnvironmentUnavailable)
"""Refusals and outages whose sentence says it all: where in the code they came up helps nobody."""


def told(turn_id: str, error: Exception) -> e.TurnFailed | e.TurnPaused:
    """The event that ends or pauses the turn; an outage of something outside pauses it."""
    match error:
        case ForgeUnavailable() | EnvironmentUnavailable():
            return e.TurnPaused(turn_id=turn_id, cause=str(error))
        case NotPermitted(advice=advice):
            return _failed(turn_id, str(error), advice)
        case UnknownRepository(sentence=sentence):
            return _failed(
                turn_id, sentence, "Add it to the catalogue, or start again with another repository."
            )
        case BadBase() | ForgeError():
            return _failed(turn_id, str(error), "Correct that, then retry.")
        case SandboxFailed() | RunnerError():
            return _failed(
                turn_id, f"The sandbox failed: {error}", "Retry: the work is restored as last saved."
            )
        case BrokerFailed():
            return _failed(turn_id, str(error), "Retry; if it stays so, look at the broker's log.")
        case GitFailed() | QuarantineRefused():
            return _failed(turn_id, str(error), "Retry; if it stays so, look at the worker's log.")
    return _failed(
        turn_id,
        f"Something went wrong inside Bellhop ({type(error).__name__}).",
        "Retry. The worker's log has the details under this session's id.",
    )


def _failed(turn_id: str, cause: str, advice: str) -> e.TurnFailed:
    return e.TurnFailed(turn_id=turn_id, cause=cause, advice=advice)
