"""Ways in which Discord itself can fail a call."""

from __future__ import annotations

from dataclasses import dataclass

from tests.emulators.faults import Dropped, ServerError


@dataclass(frozen=True, slots=True)
class TooMany:
    """429 with Retry-After; nothing was done."""

    retry_after_seconds: float = 0.05


@dataclass(frozen=True, slots=True)
class Denied:
    """Refused with that status and Discord's code, whatever the call."""

    status: int = 403
    code: int = 0


Fault = TooMany | ServerError | Dropped | Denied
