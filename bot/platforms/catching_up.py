"""Reading what was said while nobody listened, channel by channel."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from bot.platforms.protocol import Busy, PlatformError, Unreachable

WAIT_SECONDS = (0.5, 2.0, 5.0)

_log = structlog.get_logger(__name__)
_Read = TypeVar("_Read")


async def readable(read: Callable[[], Awaitable[_Read]], channel: str) -> _Read | None:
    """What `read` gives, asked for again where no answer comes, or later where patience is asked for.

    None, and a line in the log, for a channel that cannot be read: it must not hide what was said in others.
    """
    for wait in (*WAIT_SECONDS, None):
        try:
            return await read()
        except (Busy, Unreachable) as error:
            if wait is None:
                _log.warning("chat.channel_not_caught_up", channel=channel, detail=str(error))
                return None
            await asyncio.sleep(error.retry_after_seconds if isinstance(error, Busy) else wait)
        except PlatformError as error:
            _log.info("chat.channel_not_caught_up", channel=channel, detail=str(error))
            return None
    raise AssertionError("the last try returns")
