"""Whether the broker is there, told in the logs of those who need it."""

from __future__ import annotations

import asyncio

import structlog

from sandbox.broker.operations import Part
from sandbox.broker.presence import who_am_i
from session.broker import Broker, BrokerDown, BrokerRefused

_log = structlog.get_logger(__name__)

_AGAIN_SECONDS = 1.0
_AWAY = "it does not answer, or its BROKER_CLIENTS does not name this user; what needs it waits until it does"


async def look_for_broker(broker: Broker, part: Part) -> None:
    """Returns once the broker answers and knows us as that part; until then it says what is wrong, once.

    Nobody has to wait for it: what needs the broker is refused until it is there.
    """
    said = ""
    while (wrong := await _wrong(broker, part)) is not None:
        if wrong != said:
            _log.warning("no broker", socket=str(broker.socket), means=wrong)
            said = wrong
        await asyncio.sleep(_AGAIN_SECONDS)
    if said:
        _log.info("the broker answers", socket=str(broker.socket))


async def _wrong(broker: Broker, part: Part) -> str | None:
    try:
        parts = await who_am_i(broker)
    except BrokerDown:
        return _AWAY
    except BrokerRefused as error:
        return str(error)
    if part not in parts:
        return f"it knows this user as {', '.join(sorted(parts))}: add {part} to its BROKER_CLIENTS"
    return None
