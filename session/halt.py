"""The kill switch: while it is on, no model is asked, no tool runs, nothing is pushed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

from session.database import Database, when
from session.people import Person


@dataclass(frozen=True, slots=True)
class Halt:
    """Who switched everything off, when and why."""

    at: datetime
    by: str
    reason: str


class Halted(Exception):
    """Everything is switched off; the message says by whom and can be shown to people."""

    def __init__(self, halt: Halt) -> None:
        why = f": {halt.reason.rstrip('.')}" if halt.reason else ""
        super().__init__(f"{halt.by} has stopped all work{why}. An admin can switch it on again.")
        self.halt = halt


class KillSwitch:
    """One switch for the whole installation, kept in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def halt(self) -> Halt | None:
        """What is in force now, None when work may go on. Raises: DatabaseDown."""
        rows = await self._database.rows(
            "SELECT at, by_name, reason FROM halts WHERE released_at IS NULL ORDER BY at LIMIT 1"
        )
        return Halt(when(rows[0]["at"]), rows[0]["by_name"], rows[0]["reason"]) if rows else None

    async def halted(self) -> bool:
        """Whether everything is switched off. Raises: DatabaseDown."""
        return await self.halt() is not None

    async def check(self) -> None:
        """Return when work may go on. Raises: Halted, DatabaseDown."""
        halt = await self.halt()
        if halt is not None:
            raise Halted(halt)

    async def engage(self, by: Person, reason: str) -> None:
        """Switch everything off. Raises: DatabaseDown."""
        await self._database.execute(
            "INSERT INTO halts (id, at, by_id, by_name, reason) VALUES (?, ?, ?, ?, ?)",
            *(uuid4().hex, await self._database.clock(), by.id, by.name, reason),
        )

    async def release(self, by: Person) -> bool:
        """Switch it on again; False when it was on. Raises: DatabaseDown."""
        changed = await self._database.execute(
            "UPDATE halts SET released_at = ?, released_by = ? WHERE released_at IS NULL",
            await self._database.clock(),
            by.name,
        )
        return bool(changed)
