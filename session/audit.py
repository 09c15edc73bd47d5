"""The audit: who did what through which door, one row an action, each chained to the one before it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from pydantic import Field

from session.database import Database, DatabaseDown, Row, Transaction, when
from session.people import Declared

Outcome = Literal["allowed", "refused", "done", "failed"]
GENESIS = "0" * 64
_LOCK = 0x62656C6C617564
"""Key of PostgreSQL's advisory lock under which rows are chained: "bellaud" in ASCII."""


class AuditDown(Exception):
    """The action cannot be put on the audit, so it must not happen; the message can be shown to people."""


class AuditEntry(Declared):
    """What is to be audited. `actor` is a part and whom it acts for (`broker for p_12`, `box bellhop-s1`);
    `action` is `area.verb` (`egress.request`, `forge.publish`, `vault.set`); `target` what it was about."""

    actor: str = Field(max_length=255)
    action: str = Field(pattern=r"^[a-z_]+\.[a-z_]+$")
    target: str
    outcome: Outcome
    session_id: str = ""
    detail: Mapping[str, str] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Audited:
    """An entry in its place: `id` counts from 1 without a gap."""

    id: int
    at: datetime
    entry: AuditEntry
    previous: str
    hash: str


class Audit:
    """Adds to the audit and reads it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def write(self, entry: AuditEntry) -> Audited:
        """The entry, on record. Raises: AuditDown."""
        try:
            return await self._database.run(lambda transaction: _append(transaction, entry, self._database))
        except DatabaseDown as error:
            raise AuditDown(
                "What I do cannot be put on record at the moment, so I do nothing that would have to be."
            ) from error


async def _append(transaction: Transaction, entry: AuditEntry, database: Database) -> Audited:
    if database.postgres:
        await transaction.rows("SELECT pg_advisory_xact_lock(?)", _LOCK)
    last = await transaction.rows("SELECT id, hash FROM audit ORDER BY id DESC LIMIT 1")
    number, previous = (int(last[0]["id"]) + 1, str(last[0]["hash"])) if last else (1, GENESIS)
    at = await transaction.clock()
    row = Audited(number, at, entry, previous, chained(number, at, entry, previous))
    await transaction.execute(
        "INSERT INTO audit (id, at, actor, action, session_id, target, outcome, detail, previous, hash) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        *(row.id, row.at, entry.actor, entry.action, entry.session_id, entry.target, entry.outcome),
        *(json.dumps(dict(entry.detail), sort_keys=True), previous, row.hash),
    )
    return row


def chained(number: int, at: datetime, entry: AuditEntry, previous: str) -> str:
    """The hash of a row: of its place, its time, all it says, and the hash before it."""
    body = [number, at.isoformat(timespec="microseconds"), entry.model_dump(mode="json"), previous]
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def read_row(row: Row) -> Audited:
    """The row as it stands in the table."""
    entry = AuditEntry(
        actor=row["actor"],
        action=row["action"],
        target=row["target"],
        outcome=row["outcome"],
        session_id=row["session_id"],
        detail=json.loads(row["detail"]),
    )
    return Audited(int(row["id"]), when(row["at"]), entry, row["previous"], row["hash"])
