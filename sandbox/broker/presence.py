"""Is the broker there, and whom does it take its caller for?"""

from __future__ import annotations

from typing import Any

from sandbox.broker.operations import Caller, Operation
from sandbox.broker.socket_server import EVERY_PART
from session.broker import Broker, Nothing
from session.people import Declared

_NAME = "broker.who"
_SECONDS = 5.0


class Known(Declared):
    """The parts that the broker takes its caller for."""

    parts: tuple[str, ...]


def presence() -> Operation[Any, Any]:
    """The operation by which every part can ask who it is."""
    return Operation(_NAME, Nothing, EVERY_PART, _known)


async def who_am_i(broker: Broker) -> frozenset[str]:
    """The parts that the broker takes this process for. Raises: BrokerDown, BrokerRefused."""
    return frozenset((await broker.call(_NAME, Nothing(), Known, seconds=_SECONDS)).parts)


async def _known(asked: Nothing, caller: Caller) -> Known:
    return Known(parts=tuple(sorted(caller.parts)))
