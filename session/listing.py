"""The sessions' rows: what lists, searches and the reconciler see without folding a log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from session.database import Database, Row, Transaction, marks, when
from session.events import PromptQueued, Recorded, SessionOpened
from session.view import TURN_STATES, WAITING_STATES, SessionView, State

Need = Literal["read", "route", "turn", "merge"]

_MAX_LIMIT = 200
_COLUMNS = (
    "seq",
    "title",
    "state",
    "repository",
    "branch",
    "pull_request_number",
    "pull_request_url",
    "pull_request_state",
    "needs",
)


@dataclass(frozen=True, slots=True)
class SessionFilter:
    """What to look for; None means any.

    states: any of these. person: id of someone who opened it or prompted in it. text: part of the title.
    before: only sessions changed earlier than that (for the next page). limit: at most 200.
    """

    states: tuple[State, ...] | None = None
    person: str | None = None
    repository: str | None = None
    text: str | None = None
    limit: int = 50
    before: datetime | None = None


@dataclass(frozen=True, slots=True)
class SessionRow:
    """One session in a list."""

    id: str
    title: str
    state: State
    platform: str
    repository: str | None
    requester_id: str
    requester_name: str
    created_at: datetime
    updated_at: datetime
    seq: int
    needs_worker: bool
    waits_for_person: bool
    pull_request_number: int | None
    pull_request_url: str | None
    pull_request_state: str | None


def need(view: SessionView) -> Need | None:
    """What a machine has to do for the session now; None when the next step is a person's or nobody's."""
    if view.unread and not view.archived:  # before the turn: it may be another one after that
        return "read"
    if view.state == "routing" and view.waiting_prompts:
        return "route"
    if view.needs_worker:
        return "turn"
    if view.due_merges and not view.archived:
        return "merge"
    return None


async def insert(transaction: Transaction, view: SessionView) -> None:
    """The new session's row."""
    row = {
        "id": view.id,
        "platform": view.origin.platform,
        "workspace": view.origin.workspace,
        "channel": view.origin.channel,
        "thread": view.origin.thread,
        "requester_id": view.requester.id,
        "requester_name": view.requester.name,
        "created_at": view.created_at,
        "updated_at": view.updated_at,
        "drive_at": view.updated_at if need(view) else None,
        "drives": 0,
        "drive_mark": "",
        "drive_epoch": 0,
        **dict(zip(_COLUMNS, _values(view), strict=True)),
    }
    await transaction.execute(
        f"INSERT INTO sessions ({', '.join(row)}) VALUES {marks(len(row))}", *row.values()
    )


async def update(transaction: Transaction, view: SessionView, *, expected_seq: int) -> datetime | None:
    """Lock the row and bring it up to `view`, if it is still at `expected_seq`.

    Gives the database's time, which is that of the events; None when the session has moved on.
    """
    columns = ", ".join(f"{column} = ?" for column in _COLUMNS)
    look = transaction.now if need(view) else "NULL"
    rows = await transaction.rows(
        f"UPDATE sessions SET {columns}, updated_at = {transaction.now}, drive_at = {look} "
        "WHERE id = ? AND seq = ? RETURNING updated_at",
        *_values(view),
        view.id,
        expected_seq,
    )
    return when(rows[0]["updated_at"]) if rows else None


async def add_participants(transaction: Transaction, records: Sequence[Recorded]) -> None:
    """Remember who opened the session or prompted in it."""
    for record in records:
        event = record.event
        if isinstance(event, SessionOpened | PromptQueued):
            person = event.requester if isinstance(event, SessionOpened) else event.prompt.author
            await transaction.execute(
                "INSERT INTO participants (session_id, person_id) VALUES (?, ?) ON CONFLICT DO NOTHING",
                record.session_id,
                person.id,
            )


async def find(database: Database, wanted: SessionFilter) -> list[SessionRow]:
    """Sessions that fit, newest change first."""
    conditions, parameters = ["1 = 1"], list[object]()
    if wanted.states is not None:
        conditions.append(f"state IN {marks(len(wanted.states))}" if wanted.states else "1 = 0")
        parameters += wanted.states
    if wanted.person is not None:
        conditions.append("id IN (SELECT session_id FROM participants WHERE person_id = ?)")
        parameters.append(wanted.person)
    if wanted.repository is not None:
        conditions.append("repository = ?")
        parameters.append(wanted.repository)
    if wanted.text is not None:
        conditions.append(r"LOWER(title) LIKE ? ESCAPE '\'")
        parameters.append(f"%{_literal(wanted.text.lower())}%")
    if wanted.before is not None:
        conditions.append("updated_at < ?")
        parameters.append(wanted.before)
    rows = await database.rows(
        f"SELECT * FROM sessions WHERE {' AND '.join(conditions)} ORDER BY updated_at DESC LIMIT ?",
        *parameters,
        max(1, min(wanted.limit, _MAX_LIMIT)),
    )
    return [_row(row) for row in rows]


async def threads(
    database: Database, platform: str, workspace: str, since: datetime, limit: int
) -> list[tuple[str, str]]:
    """Channel and thread of the sessions there that changed since then, newest change first."""
    rows = await database.rows(
        "SELECT channel, thread FROM sessions WHERE platform = ? AND workspace = ? AND updated_at > ? "
        "GROUP BY channel, thread ORDER BY MAX(updated_at) DESC LIMIT ?",
        platform,
        workspace,
        since,
        limit,
    )
    return [(row["channel"], row["thread"]) for row in rows]


async def first_id(database: Database, condition: str, *parameters: object) -> str | None:
    """The id of the newest session for which `condition` (SQL of ours, never of users) holds."""
    rows = await database.rows(
        f"SELECT id FROM sessions WHERE {condition} ORDER BY created_at DESC LIMIT 1", *parameters
    )
    return str(rows[0]["id"]) if rows else None


def _values(view: SessionView) -> list[object]:
    pull_request = view.pull_request
    return [
        view.seq,
        view.title,
        view.state,
        view.repository.slug if view.repository else None,
        view.published.branch if view.published else None,
        pull_request.number if pull_request else None,
        pull_request.url if pull_request else None,
        pull_request.state if pull_request else None,
        need(view),
    ]


def _row(row: Row) -> SessionRow:
    waits = row["state"] in WAITING_STATES or row["state"] == "awaiting_repository"
    return SessionRow(
        id=row["id"],
        title=row["title"],
        state=row["state"],
        platform=row["platform"],
        repository=row["repository"],
        requester_id=row["requester_id"],
        requester_name=row["requester_name"],
        created_at=when(row["created_at"]),
        updated_at=when(row["updated_at"]),
        seq=row["seq"],
        needs_worker=row["needs"] == "turn" or row["state"] in TURN_STATES,
        waits_for_person=waits,
        pull_request_number=row["pull_request_number"],
        pull_request_url=row["pull_request_url"],
        pull_request_state=row["pull_request_state"],
    )


def _literal(text: str) -> str:
    for sign in ("\\", "%", "_"):
        text = text.replace(sign, "\\" + sign)
    return text
