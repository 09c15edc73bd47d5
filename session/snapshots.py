"""Snapshots of boxes: which there are, where, and how far into their session they reach."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from session.database import Database, Row, Transaction, when

NOT_YET = datetime.min.replace(tzinfo=UTC)
_COLUMNS = "reference, session_id, place, repository, turns, checkpoint, runner, shared, taken_at"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A copy of a session's box as it was after a turn.

    reference: what the environment at `place` calls it. repository: slug of what is in its workspace. turns:
    how many turns the session had had. checkpoint: SHA of the workspace as saved then. runner: version of the
    program that runs in the box; another one cannot go on from what it wrote. shared: what the registry calls
    it, empty while it is not there. A copy that another place fetched from there has a row of its own.
    """

    reference: str
    session_id: str
    place: str
    repository: str
    turns: int
    checkpoint: str
    runner: int
    taken_at: datetime = NOT_YET
    shared: str = ""


class Snapshots:
    """The record of snapshots. Every method raises DatabaseDown."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, snapshot: Snapshot) -> None:
        """Write it down, in place of one of the same reference. `taken_at` is the database's own time."""

        async def work(transaction: Transaction) -> None:
            await transaction.execute(
                f"INSERT INTO snapshots ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, {transaction.now}) "
                "ON CONFLICT (reference) DO UPDATE SET turns = excluded.turns, "
                "checkpoint = excluded.checkpoint, runner = excluded.runner, shared = excluded.shared, "
                "taken_at = excluded.taken_at",
                snapshot.reference,
                snapshot.session_id,
                snapshot.place,
                snapshot.repository,
                snapshot.turns,
                snapshot.checkpoint,
                snapshot.runner,
                snapshot.shared,
            )

        await self._database.run(work)

    async def of(self, session_id: str, place: str | None = None) -> list[Snapshot]:
        """The session's snapshots, the newest first; with a place only those that lie there."""
        return _read(
            await self._database.rows(
                f"SELECT {_COLUMNS} FROM snapshots WHERE session_id = ? AND (? = '' OR place = ?) "
                "ORDER BY turns DESC, taken_at DESC",
                session_id,
                place or "",
                place or "",
            )
        )

    async def on(self, place: str) -> list[Snapshot]:
        """All snapshots at that place, the newest first."""
        return _read(
            await self._database.rows(
                f"SELECT {_COLUMNS} FROM snapshots WHERE place = ? ORDER BY taken_at DESC, turns DESC", place
            )
        )

    async def shared(self) -> list[Snapshot]:
        """All that are in the registry, wherever else they are, the newest first."""
        return _read(
            await self._database.rows(
                f"SELECT {_COLUMNS} FROM snapshots WHERE shared <> '' ORDER BY taken_at DESC"
            )
        )

    async def share(self, reference: str, shared: str) -> None:
        """It is in the registry under that name."""
        await self._database.execute("UPDATE snapshots SET shared = ? WHERE reference = ?", shared, reference)

    async def unshare(self, shared: str) -> None:
        """What has that name is not in the registry any more."""
        await self._database.execute("UPDATE snapshots SET shared = '' WHERE shared = ?", shared)

    async def drop(self, reference: str) -> None:
        """It is not there any more."""
        await self._database.execute("DELETE FROM snapshots WHERE reference = ?", reference)


def _read(rows: list[Row]) -> list[Snapshot]:
    return [
        Snapshot(
            reference=row["reference"],
            session_id=row["session_id"],
            place=row["place"],
            repository=row["repository"],
            turns=int(row["turns"]),
            checkpoint=row["checkpoint"],
            runner=int(row["runner"]),
            taken_at=when(row["taken_at"]),
            shared=row["shared"],
        )
        for row in rows
    ]
