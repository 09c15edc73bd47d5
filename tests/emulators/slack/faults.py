"""Ways in which Slack itself can fail a call."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from tests.emulators.faults import Dropped, ServerError


@dataclass(frozen=True, slots=True)
class TooMany:
    """429 with Retry-After; nothing was done."""

    retry_after_seconds: int = 1


@dataclass(eq=False, slots=True)
class Unanswered:
    """The call takes effect, and then no answer comes until `release()`, so that the caller times out."""

    reached: asyncio.Event = field(default_factory=asyncio.Event)
    released: asyncio.Event = field(default_factory=asyncio.Event)

    def release(self) -> None:
        """Let the answer go out."""
        self.released.set()


Fault = TooMany | ServerError | Dropped | Unanswered
