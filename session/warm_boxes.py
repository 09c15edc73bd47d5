"""Boxes that wait for a session: which there are, what they fit, and who takes one. Each is taken once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from session.boxes import given
from session.database import Database, Row, Transaction, when

WarmState = Literal["making", "ready", "going"]
_COLUMNS = "box, place, repository, fit, basis, state, since"


@dataclass(frozen=True, slots=True)
class WarmBox:
    """A box that is no session's yet. `fit` is what a session must ask for to get it; `basis` what it was
    decided on, such as the newest image, so that it can be told whether it would be made the same today."""

    box: str
    place: str
    repository: str
    fit: str
    basis: str
    state: WarmState
    since: datetime


class WarmBoxes:
    """The record of boxes that wait. Every method raises DatabaseDown."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def clock(self) -> datetime:
        """The time that boxes' ages go by."""
        return await self._database.clock()

    async def begin(self, box: str, place: str, repository: str, fit: str, basis: str) -> None:
        """That box is being made. Nobody gets it before it is ready."""
        await self._database.execute(
            f"INSERT INTO warm_boxes ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, 'making', ?)",
            *(box, place, repository, fit, basis, await self._database.clock()),
        )

    async def ready(self, box: str, place: str) -> bool:
        """Whether the box, made by now, is still wanted; then it can be taken."""
        changed = await self._database.execute(
            "UPDATE warm_boxes SET state = 'ready' WHERE box = ? AND place = ? AND state = 'making'",
            *(box, place),
        )
        return bool(changed)

    async def take(self, session_id: str, place: str, repository: str, fit: str) -> str | None:
        """The oldest box there that fits, on record as the session's from now on; None when there is none."""

        async def work(transaction: Transaction) -> str | None:
            rows = await transaction.rows(
                "SELECT box FROM warm_boxes WHERE place = ? AND repository = ? AND fit = ? "
                "AND state = 'ready' ORDER BY since, box",
                *(place, repository, fit),
            )
            for row in rows:
                # Who deletes the row has the box: of two, one finds it gone and takes the next.
                if await transaction.execute(
                    "DELETE FROM warm_boxes WHERE box = ? AND state = 'ready'", row["box"]
                ):
                    await given(transaction, session_id, row["box"], place)
                    return str(row["box"])
            return None

        return await self._database.run(work)

    async def on(self, place: str) -> list[WarmBox]:
        """All boxes there that are on record, the oldest first."""
        rows = await self._database.rows(
            f"SELECT {_COLUMNS} FROM warm_boxes WHERE place = ? ORDER BY since, box", place
        )
        return [_read(row) for row in rows]

    async def known(self, box: str, place: str) -> bool:
        """Whether the box is on record as one that waits, is being made or is going."""
        found = await self._database.rows(
            "SELECT box FROM warm_boxes WHERE box = ? AND place = ?", box, place
        )
        return bool(found)

    async def give_up(self, box: str, place: str) -> bool:
        """Whether the box is nobody's; then nobody gets it any more, and it may be removed."""
        changed = await self._database.execute(
            "UPDATE warm_boxes SET state = 'going' WHERE box = ? AND place = ?", box, place
        )
        return bool(changed)

    async def forget(self, box: str, place: str) -> None:
        """The box is gone."""
        await self._database.execute(
            "DELETE FROM warm_boxes WHERE box = ? AND place = ? AND state = 'going'", box, place
        )

    async def demand(self, place: str, span: timedelta) -> Mapping[str, int]:
        """How many sessions of each repository got their box there in that time until now."""
        since = await self._database.clock() - span
        rows = await self._database.rows(
            "SELECT sessions.repository AS repository, COUNT(*) AS sessions FROM session_boxes "
            "JOIN sessions ON sessions.id = session_boxes.session_id "
            "WHERE session_boxes.place = ? AND session_boxes.since > ? AND sessions.repository IS NOT NULL "
            "GROUP BY sessions.repository",
            *(place, since),
        )
        return {str(row["repository"]): int(row["sessions"]) for row in rows}


def _read(row: Row) -> WarmBox:
    return WarmBox(
        box=row["box"],
        place=row["place"],
        repository=row["repository"],
        fit=row["fit"],
        basis=row["basis"],
        state=row["state"],
        since=when(row["since"]),
    )
