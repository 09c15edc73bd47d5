"""The audit: who did what through which door, one row an action, each chained to the one before it."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

import asyncpg
from pydantic import Field, field_validator
from tortoise.exceptions import BaseORMException

from session.database import Database, DatabaseDown, Row, Transaction, marks, when
from session.people import Declared

Outcome = Literal["allowed", "refused", "done", "failed"]
GENESIS = "0" * 64
_LOCK = 0x62656C6C617564
"""Key of PostgreSQL's advisory lock under which rows are chained: "bellaud" in ASCII."""

_TOGETHER = 200
"""Most entries in one transaction: 2,000 parameters, of 32,766 that both databases take."""

_COLUMNS = ("id", "at", "actor", "action", "session_id", "target", "outcome", "detail", "previous", "hash")
_MAX_PAGE = 1_000


_REFUSED = (DatabaseDown, BaseORMException, asyncpg.PostgresError)
"""A table that is not there, or that may not be written, is no better than no database."""


class AuditDown(Exception):
    """The action cannot be put on the audit, so it must not happen; the message can be shown to people."""


class AuditEntry(Declared):
    """What is to be audited. `actor` is a part and whom it acts for (`broker for p_12`, `box bellhop-s1`);
    `action` is `area.verb` (`egress.request`, `forge.publish`, `vault.set`); `target` what it was about."""

    actor: str = Field(max_length=255)
    action: str = Field(pattern=r"^[a-z_]+\.[a-z_]+$", max_length=64)
    target: str
    outcome: Outcome
    session_id: str = Field(default="", max_length=64)
    detail: Mapping[str, str] = Field(default_factory=dict)

    @field_validator("actor", "target", "session_id")
    @classmethod
    def _text(cls, value: str) -> str:
        return _keepable(value)

    @field_validator("detail")
    @classmethod
    def _texts(cls, value: Mapping[str, str]) -> Mapping[str, str]:
        return {_keepable(key): _keepable(text) for key, text in value.items()}


@dataclass(frozen=True, slots=True)
class Audited:
    """An entry in its place: `id` counts from 1 without a gap."""

    id: int
    at: datetime
    entry: AuditEntry
    previous: str
    hash: str


class UnreadableRow(Exception):
    """A row holds what was never written; the message says which and what."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    entry: AuditEntry
    written: asyncio.Future[Audited]


class Audit:
    """Adds to the audit and reads it.

    Entries that come while others are being written go into the next transaction together. Nothing runs
    while there is nothing to write.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: list[_Waiting] = []
        self._writer: asyncio.Task[None] | None = None

    async def write(self, entry: AuditEntry) -> Audited:
        """The entry, on record. An entry whose writer is cancelled may be on record all the same.

        Raises: AuditDown.
        """
        waiting = _Waiting(entry, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        if self._writer is None:
            self._writer = asyncio.create_task(self._write_all(), name="audit")
        try:
            return await waiting.written
        except _REFUSED as error:
            raise AuditDown(
                "What I do cannot be put on record at the moment, so I do nothing that would have to be."
            ) from error

    async def aclose(self) -> None:
        """Return once everything that was handed over is written, or cannot be."""
        if self._writer is not None:
            await asyncio.wait([self._writer])

    async def page(
        self, before: int | None, limit: int, session_id: str = "", action: str = ""
    ) -> list[Audited]:
        """Rows with an id below `before` (None: the newest), newest first, at most `limit` and 1,000.

        session_id, action: only those of that session, of that action or of that area (`egress`); empty
        means any. A row that cannot be read is there as what it is: action `audit.unreadable`.
        Raises: DatabaseDown.
        """
        conditions: dict[str, tuple[object, ...]] = {"id > 0": ()}
        if before is not None:
            conditions["id < ?"] = (before,)
        if session_id:
            conditions["session_id = ?"] = (session_id,)
        if action:
            area = f"{action}."  # no LIKE, to which the _ in a name is any letter
            conditions["(action = ? OR substr(action, 1, ?) = ?)"] = (action, len(area), area)
        with _reading():
            rows = await self._database.rows(
                f"SELECT * FROM audit WHERE {' AND '.join(conditions)} ORDER BY id DESC LIMIT ?",
                *(value for values in conditions.values() for value in values),
                max(0, min(limit, _MAX_PAGE)),
            )
        return [_shown(row) for row in rows]

    async def after(self, number: int, limit: int) -> list[Row]:
        """The rows above that id as they stand in the table, oldest first. Raises: DatabaseDown."""
        with _reading():
            return await self._database.rows(
                "SELECT * FROM audit WHERE id > ? ORDER BY id LIMIT ?", number, min(limit, _MAX_PAGE)
            )

    async def head(self) -> Audited | None:
        """The newest row, None when there is none. Raises: DatabaseDown."""
        rows = await self.page(None, 1)
        return rows[0] if rows else None

    async def _write_all(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:_TOGETHER], self._waiting[_TOGETHER:]
                await self._write_together(batch)
        finally:
            self._writer = None
            for left in self._waiting:
                left.written.cancel()
            self._waiting = []

    async def _write_together(self, batch: Sequence[_Waiting]) -> None:
        entries = [waiting.entry for waiting in batch]
        work = asyncio.ensure_future(
            self._database.run(lambda transaction: _append(transaction, entries, self._database.postgres))
        )
        try:
            await asyncio.wait([work])
        except asyncio.CancelledError:  # the process ends; the database finishes what it has begun
            for waiting in batch:
                waiting.written.cancel()
            raise
        error = work.exception()
        if error is not None and len(batch) > 1 and not isinstance(error, DatabaseDown):
            for waiting in batch:  # an entry that cannot be written must not take the others with it
                await self._write_together([waiting])
            return
        for place, waiting in enumerate(batch):
            if waiting.written.done():
                continue  # its writer was cancelled
            if error is not None:
                waiting.written.set_exception(error)
            else:
                waiting.written.set_result(work.result()[place])


@contextmanager
def _reading() -> Iterator[None]:
    try:
        yield
    except (BaseORMException, asyncpg.PostgresError) as error:
        raise DatabaseDown(f"the audit cannot be read: {error}") from error


async def _append(transaction: Transaction, entries: Sequence[AuditEntry], postgres: bool) -> list[Audited]:
    if postgres:
        await transaction.rows("SELECT pg_advisory_xact_lock(?)", _LOCK)
    last = await transaction.rows("SELECT id, hash FROM audit ORDER BY id DESC LIMIT 1")
    newest, previous = (int(last[0]["id"]), str(last[0]["hash"])) if last else (0, GENESIS)
    at = await transaction.clock()
    written: list[Audited] = []
    for number, entry in enumerate(entries, newest + 1):
        written.append(Audited(number, at, entry, previous, chained(number, at, entry, previous)))
        previous = written[-1].hash
    places = ", ".join([marks(len(_COLUMNS))] * len(written))
    await transaction.execute(
        f"INSERT INTO audit ({', '.join(_COLUMNS)}) VALUES {places}",
        *(value for row in written for value in _values(row)),
    )
    return written


def _values(row: Audited) -> tuple[object, ...]:
    entry = row.entry
    detail = json.dumps(dict(entry.detail), sort_keys=True)
    said = (entry.actor, entry.action, entry.session_id, entry.target, entry.outcome, detail)
    return (row.id, row.at, *said, row.previous, row.hash)


def chained(number: int, at: datetime, entry: AuditEntry, previous: str) -> str:
    """The hash of a row: of its place, its time, all it says, and the hash before it."""
    body = [number, at.isoformat(timespec="microseconds"), entry.model_dump(mode="json"), previous]
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def read_row(row: Row) -> Audited:
    """The row as it stands in the table. Raises: UnreadableRow."""
    try:
        entry = AuditEntry(
            actor=row["actor"],
            action=row["action"],
            target=row["target"],
            outcome=row["outcome"],
            session_id=row["session_id"],
            detail=json.loads(row["detail"]),
        )
        return Audited(int(row["id"]), when(row["at"]), entry, row["previous"], row["hash"])
    except (ValueError, TypeError, AttributeError) as error:
        raise UnreadableRow(f"row {row['id']} of the audit holds what nobody writes there") from error


def _shown(row: Row) -> Audited:
    try:
        return read_row(row)
    except UnreadableRow as error:
        entry = AuditEntry(actor="?", action="audit.unreadable", target=str(error), outcome="failed")
        at = datetime.min.replace(tzinfo=UTC)
        return Audited(int(row["id"]), at, entry, str(row["previous"]), str(row["hash"]))


def _keepable(text: str) -> str:
    """The text without what a database cannot keep: a NUL, half of a surrogate pair."""
    return text.replace("\0", "�").encode("utf-8", "replace").decode()
