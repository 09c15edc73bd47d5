"""The doorbell: Redis pub/sub that tells other processes that a session's log grew.

Nothing depends on a ring being heard: whoever waits looks at the database again after a while.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class TokenDelta:
    """Words of a model's reply in flight; shown while they come, never kept."""

    turn_id: str
    text: str


class Watch:
    """Somebody's wait for rings."""

    async def wait(self, timeout_seconds: float) -> bool:
        """True once something rang since the last wait, False after `timeout_seconds`."""
        raise NotImplementedError


class Pulse:
    """The doorbell of one process; use it as `async with Pulse(redis_url) as pulse`.

    redis_url: None rings inside this process alone.
    """

    def __init__(self, redis_url: str | None) -> None:
        raise NotImplementedError

    async def __aenter__(self) -> Self:
        raise NotImplementedError

    async def __aexit__(self, *exc: object) -> None:
        raise NotImplementedError

    @property
    def connected(self) -> bool:
        """Whether rings of other processes are heard at the moment."""
        raise NotImplementedError

    async def ring(self, session_id: str) -> None:
        """Tell every process that the session's log grew. Never raises for a dead Redis."""
        raise NotImplementedError

    def watch(self, session_id: str | None = None) -> AbstractContextManager[Watch]:
        """A wait for rings of that session, or of any."""
        raise NotImplementedError

    async def publish_tokens(self, session_id: str, turn_id: str, text: str) -> None:
        """Show words in flight to whoever looks. Lost when nobody does. Never raises for a dead Redis."""
        raise NotImplementedError

    def tokens(self, session_id: str) -> AsyncIterator[TokenDelta]:
        """Words in flight from now on; never ends."""
        raise NotImplementedError
