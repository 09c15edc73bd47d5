"""Which box a session has, and where: the record that says whose a box is, whatever it is called."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from session.database import Database, Row, Transaction, when

_COLUMNS = "session_id, box, place, since"


@dataclass(frozen=True, slots=True)
class SessionBox:
    """A session's box. `place` is what the environment that has it calls itself; `since` when it became the
    session's."""

    session_id: str
    box: str
    place: str
    since: datetime


@dataclass(frozen=True, slots=True)
class LeftBox:
    """A box whose session has gone on in another."""

    box: str
    session_id: str


class Boxes:
    """The record of sessions' boxes, one for each session. Every method raises DatabaseDown."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of(self, session_id: str) -> SessionBox | None:
        """The session's box; None when it never had one, or has none any more."""
        rows = await self._database.rows(
            f"SELECT {_COLUMNS} FROM session_boxes WHERE session_id = ?", session_id
        )
        return _read(rows[0]) if rows else None

    async def at(self, place: str) -> Mapping[str, str]:
        """The sessions whose boxes are there, by the box."""
        rows = await self._database.rows("SELECT box, session_id FROM session_boxes WHERE place = ?", place)
        return {str(row["box"]): str(row["session_id"]) for row in rows}

    async def owner(self, box: str, place: str) -> str | None:
        """The session whose box that is; None when it is no session's."""
        rows = await self._database.rows(
            "SELECT session_id FROM session_boxes WHERE place = ? AND box = ?", place, box
        )
        return str(rows[0]["session_id"]) if rows else None

    async def give(self, session_id: str, box: str, place: str) -> None:
        """That box is the session's from now on, in place of the one it had."""
        await self._database.run(lambda transaction: given(transaction, session_id, box, place))

    async def forget(self, box: str, place: str) -> None:
        """The box is gone, and with it whose it was, or that it was left behind."""

        async def work(transaction: Transaction) -> None:
            await transaction.execute("DELETE FROM session_boxes WHERE place = ? AND box = ?", place, box)
            await transaction.execute("DELETE FROM left_boxes WHERE id = ?", _left_id(box, place))

        await self._database.run(work)

    async def left(self, place: str) -> list[LeftBox]:
        """The boxes at that place whose sessions have gone on in others."""
        rows = await self._database.rows(
            "SELECT box, session_id FROM left_boxes WHERE place = ? ORDER BY box", place
        )
        return [LeftBox(row["box"], row["session_id"]) for row in rows]


async def given(transaction: Transaction, session_id: str, box: str, place: str) -> None:
    """Write down that the box is the session's; one that it has already keeps its time.

    The one that it had counts as left behind: what it holds is out of date from now on.
    """
    former = await transaction.rows("SELECT box, place FROM session_boxes WHERE session_id = ?", session_id)
    for row in former:
        if (row["box"], row["place"]) != (box, place):
            await transaction.execute(
                "INSERT INTO left_boxes (id, place, box, session_id) VALUES (?, ?, ?, ?) "
                "ON CONFLICT (id) DO NOTHING",
                _left_id(row["box"], row["place"]), row["place"], row["box"], session_id,
            )  # fmt: skip
    await transaction.execute(
        f"INSERT INTO session_boxes ({_COLUMNS}) VALUES (?, ?, ?, {transaction.now}) "
        "ON CONFLICT (session_id) DO UPDATE "
        "SET box = excluded.box, place = excluded.place, since = excluded.since "
        "WHERE session_boxes.box <> excluded.box OR session_boxes.place <> excluded.place",
        session_id,
        box,
        place,
    )


def _left_id(box: str, place: str) -> str:
    return hashlib.sha256(f"{place} {box}".encode()).hexdigest()


def _read(row: Row) -> SessionBox:
    return SessionBox(row["session_id"], row["box"], row["place"], when(row["since"]))
