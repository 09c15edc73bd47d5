"""How many sessions work at once, in all and for one person.

A session has a place while its lease lives and was marked as working under the lease's epoch; so a place is
free again the moment a worker lets go of the session, or dies.
"""

from __future__ import annotations

import hashlib
from datetime import timedelta

from session.database import Database, Transaction
from session.events import PartDegraded, PartRecovered
from session.log import Log
from session.parts import away, back
from session.people import Person
from session.view import SessionView

PLACE = "waiting"
"""What the note of a session without a place is named."""

RUNG_FOR = 5
"""So many are told of a free place: the first may be somebody's who has no place left."""

_KEPT = timedelta(days=30)
_LOCK = 0x62656C6C706C61
"""Key of PostgreSQL's advisory lock under which places are given: "bellpla" in ASCII."""
_TAKEN = (
    "FROM reservations r JOIN leases l ON l.session_id = r.session_id AND l.epoch = r.amount "
    "WHERE r.id LIKE 'place:%' AND l.expires_at > ? AND r.session_id <> ?"
)


class Concurrency:
    """Gives places to sessions that want to begin a turn.

    `most` and `most_per_person`: sessions at work at once; 0: any number. The person is the author of the
    prompt to be taken up. A turn that has begun goes on, also when more go on than may begin.
    """

    def __init__(self, database: Database, log: Log, *, most: int = 0, most_per_person: int = 0) -> None:
        self._database = database
        self._log = log
        self._most = most
        self._most_per_person = most_per_person

    async def admitted(self, view: SessionView, epoch: int) -> bool:
        """Whether the session may work now, under the held lease of that epoch. If not, its card says why.

        Emits: PartDegraded while it waits, PartRecovered when it need not wait any more.
        Raises: DatabaseDown, StaleEpoch.
        """
        why = await self.may_start(view, epoch)

        def decide(now: SessionView) -> list[PartDegraded] | list[PartRecovered]:
            return away(now, PLACE, why) if why is not None else back(now, PLACE)

        await self._log.record(view.id, decide, epoch=epoch)
        return why is None

    async def may_start(self, view: SessionView, epoch: int) -> str | None:
        """None, and the session has its place as long as the lease; else the sentence that says why not.

        Raises: DatabaseDown.
        """
        person = _by(_author(view))

        async def work(transaction: Transaction) -> str | None:
            if self._database.postgres:
                await transaction.rows("SELECT pg_advisory_xact_lock(?)", _LOCK)
            now = await transaction.clock()
            if not _under_way(view):
                rows = await transaction.rows(f"SELECT r.budget AS person {_TAKEN}", now, view.id)
                taken = [row["person"] for row in rows]
                if 0 < self._most <= len(taken):
                    return _all_taken(self._most)
                if 0 < self._most_per_person <= taken.count(person):
                    return _own_taken(_author(view), self._most_per_person)
            await transaction.execute("DELETE FROM reservations WHERE id = ?", _place(view.id))
            await transaction.execute(
                "INSERT INTO reservations (id, session_id, budget, amount, expires_at) "
                "VALUES (?, ?, ?, ?, ?)",
                *(_place(view.id), view.id, person, epoch, now + _KEPT),
            )
            return None

        if not self._most and not self._most_per_person:
            return None
        return await self._database.run(work)

    async def next(self) -> list[str]:
        """Some of the sessions that wait for a place, the longest first: to be rung for when one is free.

        Raises: DatabaseDown.
        """
        if not self._most and not self._most_per_person:
            return []
        now = await self._database.clock()
        rows = await self._database.rows(
            "SELECT s.id FROM sessions s LEFT JOIN leases l ON l.session_id = s.id "
            "WHERE s.needs = 'turn' AND s.state = 'queued' AND (l.expires_at IS NULL OR l.expires_at <= ?) "
            "ORDER BY s.updated_at, s.id LIMIT ?",
            now,
            RUNG_FOR,
        )
        return [row["id"] for row in rows]


def waits_for_place(view: SessionView) -> bool:
    """Whether the session was refused a place and has not begun since: it is rung for when one is free."""
    return any(item.part == PLACE for item in view.degraded) and not view.turn_open


def _under_way(view: SessionView) -> bool:
    return view.turn_open or not view.waiting_prompts


def _author(view: SessionView) -> Person:
    """Whose prompt is worked on, or will be."""
    if view.turn_open and view.turn is not None and (running := view.prompt(view.turn.prompt_id)):
        return running.prompt.author
    return view.waiting_prompts[0].prompt.author if view.waiting_prompts else view.requester


def _by(person: Person) -> str:
    """The person in the length of a column."""
    return f"by:{hashlib.sha256(person.id.encode()).hexdigest()[:28]}"


def _place(session_id: str) -> str:
    return f"place:{hashlib.sha256(session_id.encode()).hexdigest()[:40]}"


def _all_taken(most: int) -> str:
    return f"{_sessions(most)} at work, which is as many as may be at once; this one starts when one ends"


def _own_taken(person: Person, most: int) -> str:
    return (
        f"{_sessions(most)} at work for {person.name}, which is as many as may be at once for one person; "
        "this one starts when one ends"
    )


def _sessions(most: int) -> str:
    return "1 session is" if most == 1 else f"{most} sessions are"
