"""Leases: who may write a session's turn. Time is the database's alone."""

from __future__ import annotations

from dataclasses import dataclass

from session.database import Database


class LeaseLost(Exception):
    """The lease ran out or was taken by another: whoever held it must not act any more."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to drive one session. `epoch` counts its holders; every write carries it."""

    session_id: str
    epoch: int
    holder: str


class Leases:
    """All sessions' leases.

    lease_seconds: how long a lease lasts after its last heartbeat.
    """

    def __init__(self, database: Database, lease_seconds: float = 20.0) -> None:
        self._database = database
        self._seconds = lease_seconds

    async def acquire(self, session_id: str, holder: str) -> Lease | None:
        """The lease under a new epoch, or None while another holds it."""
        raise NotImplementedError

    async def heartbeat(self, lease: Lease) -> None:
        """Hold on for another `lease_seconds`. Raises: LeaseLost."""
        raise NotImplementedError

    async def release(self, lease: Lease) -> None:
        """Give the session back. Does nothing when the lease is already lost."""
        raise NotImplementedError

    async def held(self, session_id: str) -> bool:
        """Whether somebody holds a live lease."""
        raise NotImplementedError

    async def next_epoch(self, session_id: str) -> int:
        """The epoch the next holder will get; names the job that would take it."""
        raise NotImplementedError
