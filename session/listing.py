"""Lists of sessions: what to look for, and a row of what is found."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from session.view import State


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
