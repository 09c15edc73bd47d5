"""Leases: who may write a session's turn. Time is the database's alone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from session.database import Database, Transaction, when


class LeaseLost(Exception):
    """The lease ran out or was taken by another: whoever held it must not act any more."""


class StaleEpoch(LeaseLost):
    """The writer's lease has run out or was taken by another: its word does not count any more."""


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
        self._length = timedelta(seconds=lease_seconds)

    async def acquire(self, session_id: str, holder: str) -> Lease | None:
        """The lease under a new epoch, or None while another holds it (or there is no such session).

        Raises: DatabaseDown.
        """

        async def work(transaction: Transaction) -> Lease | None:
            # The session's row is the lock, so that appends and changes of holder come one after another.
            found = await transaction.rows(
                f"SELECT id FROM sessions WHERE id = ? {transaction.for_update}", session_id
            )
            if not found:
                return None
            now = await transaction.clock()
            rows = await transaction.rows(
                "SELECT epoch, expires_at FROM leases WHERE session_id = ?", session_id
            )
            if rows and when(rows[0]["expires_at"]) > now:
                return None
            epoch = int(rows[0]["epoch"]) + 1 if rows else 1
            await transaction.execute(
                "INSERT INTO leases (session_id, epoch, holder, expires_at) VALUES (?, ?, ?, ?) "
                "ON CONFLICT (session_id) DO UPDATE "
                "SET epoch = excluded.epoch, holder = excluded.holder, expires_at = excluded.expires_at",
                session_id,
                epoch,
                holder,
                now + self._length,
            )
            return Lease(session_id, epoch, holder)

        return await self._database.run(work)

    async def heartbeat(self, lease: Lease) -> None:
        """Hold on for another `lease_seconds`. Raises: LeaseLost, DatabaseDown."""

        async def work(transaction: Transaction) -> int:
            now = await transaction.clock()
            return await transaction.execute(
                "UPDATE leases SET expires_at = ? WHERE session_id = ? AND epoch = ? AND expires_at > ?",
                now + self._length,
                lease.session_id,
                lease.epoch,
                now,
            )

        if not await self._database.run(work):
            raise LeaseLost(f"{lease.holder} no longer holds session {lease.session_id}")

    async def release(self, lease: Lease) -> None:
        """Give the session back. Does nothing when the lease is already lost. Raises: DatabaseDown."""

        async def work(transaction: Transaction) -> None:
            await transaction.execute(
                "UPDATE leases SET expires_at = ? WHERE session_id = ? AND epoch = ? AND expires_at > ?",
                now := await transaction.clock(),
                lease.session_id,
                lease.epoch,
                now,
            )

        await self._database.run(work)

    async def held(self, session_id: str) -> bool:
        """Whether somebody holds a live lease. Raises: DatabaseDown."""
        return await self._database.run(lambda transaction: live(transaction, session_id))

    async def next_epoch(self, session_id: str) -> int:
        """The epoch the next holder will get; names the job that would take it. Raises: DatabaseDown."""
        rows = await self._database.rows("SELECT epoch FROM leases WHERE session_id = ?", session_id)
        return int(rows[0]["epoch"]) + 1 if rows else 1


async def live(transaction: Transaction, session_id: str) -> bool:
    """Whether somebody holds a live lease on the session."""
    rows = await transaction.rows("SELECT expires_at FROM leases WHERE session_id = ?", session_id)
    return bool(rows) and when(rows[0]["expires_at"]) > await transaction.clock()


async def check_epoch(transaction: Transaction, session_id: str, epoch: int) -> None:
    """Let only the holder of the live lease go on; call it with the session's row locked.

    Raises: StaleEpoch.
    """
    rows = await transaction.rows("SELECT epoch, expires_at FROM leases WHERE session_id = ?", session_id)
    if not rows or rows[0]["epoch"] != epoch:
        raise StaleEpoch(f"epoch {epoch} of session {session_id} is not the one that holds it")
    if when(rows[0]["expires_at"]) <= await transaction.clock():
        raise StaleEpoch(f"the lease of session {session_id}, epoch {epoch}, has run out")
