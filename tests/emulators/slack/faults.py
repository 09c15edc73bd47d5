"""Ways in which Slack itself can fail a call."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class TooMany:
    """429 with Retry-After; nothing was done."""

    retry_after_seconds: int = 1


@dataclass(frozen=True, slots=True)
class ServerError:
    """A 5xx answer. `committed` tells whether the call took effect all the same."""

    status: int = 503
    committed: bool = False


@dataclass(frozen=True, slots=True)
class Dropped:
    """The connection breaks before the answer. `committed` tells whether the call took effect."""

    committed: bool = True


@dataclass(eq=False, slots=True)
class Unanswered:
    """The call takes effect, and then no answer comes until `release()`, so that the caller times out."""

    reached: asyncio.Event = field(default_factory=asyncio.Event)
    released: asyncio.Event = field(default_factory=asyncio.Event)

    def release(self) -> None:
        """Let the answer go out."""
        self.released.set()


Fault = TooMany | ServerError | Dropped | Unanswered
