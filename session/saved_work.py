"""Work of sessions as the brokers of all hosts may need it: the newest bundle of each ref of a quarantine.

A bundle that is let go leaves its row behind for as long again, a few hundred bytes: from it a host that
still has older work knows that there was newer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from session.database import Database, Transaction, marks

_OVER = ("idle", "stopped", "failed", "archived")
"""States in which nothing is under way and nobody is waited for."""

_ON = (
    f"(sessions.updated_at >= ? OR sessions.state NOT IN {marks(len(_OVER))} OR EXISTS "
    "(SELECT 1 FROM leases WHERE leases.session_id = sessions.id AND leases.expires_at > ?))"
)
"""Says of a session that its work has to stay; what stands for the question marks: `_still_on`."""

_UNNEEDED = (
    # Its own age counts too: what a turn hands over at this moment is newer than what was looked at.
    "saved_at < ? AND NOT EXISTS "
    f"(SELECT 1 FROM sessions WHERE sessions.id = saved_work.session_id AND {_ON})"
)


@dataclass(frozen=True, slots=True)
class Saved:
    """A ref of a session's quarantine, and the commit that it stands for."""

    reference: str
    sha: str


class SavedWork:
    """What each session last handed over in each repository. Every method raises DatabaseDown."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def keep(
        self, session_id: str, repository: str, references: Mapping[str, str], bundle: bytes
    ) -> None:
        """The bundle that brought those refs (name → SHA), in place of the ones that did before."""

        async def work(transaction: Transaction) -> None:
            for reference, sha in references.items():
                await transaction.execute(
                    "INSERT INTO saved_work (id, session_id, repository, reference, sha, bundle, saved_at) "
                    f"VALUES (?, ?, ?, ?, ?, ?, {transaction.now}) ON CONFLICT (id) DO UPDATE "
                    "SET sha = excluded.sha, bundle = excluded.bundle, saved_at = excluded.saved_at",
                    _id(session_id, repository, reference), session_id, repository.lower(), reference, sha,
                    bundle,
                )  # fmt: skip

        await self._database.run(work)

    async def of(self, session_id: str, repository: str) -> list[Saved]:
        """The refs that the session handed over in that repository."""
        rows = await self._database.rows(
            "SELECT reference, sha FROM saved_work WHERE session_id = ? AND repository = ? "
            "ORDER BY saved_at, reference",
            session_id,
            repository.lower(),
        )
        return [Saved(row["reference"], row["sha"]) for row in rows]

    async def bundle(self, session_id: str, repository: str, reference: str) -> bytes:
        """The bundle that brought the ref; empty when there is none, or none any more."""
        rows = await self._database.rows(
            "SELECT bundle FROM saved_work WHERE id = ?", _id(session_id, repository, reference)
        )
        return bytes(rows[0]["bundle"]) if rows else b""

    async def let_go(self, quiet: timedelta) -> int:
        """How many bundles are gone now: those of sessions that are over and in which nothing has happened
        for so long, and of sessions that are not on record. After as long again their rows are gone too."""

        async def work(transaction: Transaction) -> int:
            now = await transaction.clock()
            before, long_before = now - quiet, now - 2 * quiet
            gone = await transaction.execute(
                f"UPDATE saved_work SET bundle = ? WHERE length(bundle) > 0 AND {_UNNEEDED}",
                *(b"", before, *_still_on(before, now)),
            )
            await transaction.execute(
                f"DELETE FROM saved_work WHERE length(bundle) = 0 AND {_UNNEEDED}",
                *(long_before, *_still_on(long_before, now)),
            )
            return gone

        return await self._database.run(work)

    async def is_over(self, session_id: str, quiet: timedelta) -> bool:
        """Whether the session is over and nothing has happened in it for so long, or is not on record."""

        async def work(transaction: Transaction) -> bool:
            now = await transaction.clock()
            return not await transaction.rows(
                f"SELECT id FROM sessions WHERE id = ? AND {_ON}",
                *(session_id, *_still_on(now - quiet, now)),
            )

        return await self._database.run(work)

    async def forget(self, session_id: str) -> None:
        """Nothing is kept of the session."""
        await self._database.execute("DELETE FROM saved_work WHERE session_id = ?", session_id)


def _still_on(since: datetime, now: datetime) -> tuple[object, ...]:
    """since: what happened in a session then or later keeps its work."""
    return (since, *_OVER, now)


def _id(session_id: str, repository: str, reference: str) -> str:
    return hashlib.sha256(f"{session_id} {repository.lower()} {reference}".encode()).hexdigest()
