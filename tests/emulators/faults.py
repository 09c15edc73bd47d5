"""Ways in which any service can fail a call."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ServerError:
    """A 5xx answer. `committed` tells whether the call took effect all the same."""

    status: int = 503
    committed: bool = False


@dataclass(frozen=True, slots=True)
class Dropped:
    """The connection breaks before the answer. `committed` tells whether the call took effect."""

    committed: bool = True
