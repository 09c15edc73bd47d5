"""Which box a session has, and where: the record that says whose a box is, whatever it is called."""

from __future__ import annotations

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
        """The box is gone, and with it whose it was."""
        await self._database.execute("DELETE FROM session_boxes WHERE place = ? AND box = ?", place, box)


async def given(transaction: Transaction, session_id: str, box: str, place: str) -> None:
    """Write down that the box is the session's; one that it has already keeps its time."""
    await transaction.execute(
        f"INSERT INTO session_boxes ({_COLUMNS}) VALUES (?, ?, ?, {transaction.now}) "
        "ON CONFLICT (session_id) DO UPDATE "
        "SET box = excluded.box, place = excluded.place, since = excluded.since "
        "WHERE session_boxes.box <> excluded.box OR session_boxes.place <> excluded.place",
        session_id,
        box,
        place,
    )


def _read(row: Row) -> SessionBox:
    return SessionBox(row["session_id"], row["box"], row["place"], when(row["since"]))
