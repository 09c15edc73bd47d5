"""The log: appends in one transaction with what they cause, reads, folds and follows."""

from __future__ import annotations

import asyncio
import random
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Sequence
from datetime import datetime, timedelta

from session import listing, picks
from session.database import Database, Transaction, marks, when
from session.events import Event, Recorded, decode, encode
from session.fold import FoldError, fold
from session.follower import Follower, Looks
from session.inbox import AlreadyClaimed, Claim, take
from session.leases import StaleEpoch, check_epoch
from session.listing import SessionFilter, SessionRow
from session.outbox import first_cursor, move_cursors
from session.pulse import Pulse
from session.view import SessionView

_MAX_VIEWS = 500
"""Views kept in memory; a session that is not among them is folded from its first event."""

_PAGE = 1_000
_PATIENT_TRIES = 3


class NoSuchSession(Exception):
    """There is no session with that id."""


class Conflict(Exception):
    """Somebody else appended first."""


class Log:
    """The event log of all sessions. `looks`: how often who follows looks by itself."""

    def __init__(self, database: Database, pulse: Pulse, looks: Looks | None = None) -> None:
        self._database = database
        self._pulse = pulse
        self._views: OrderedDict[str, SessionView] = OrderedDict()
        self._follower = Follower(self.read, self._head, pulse, looks or Looks())

    async def create(
        self, session_id: str, events: Sequence[Event], *, claim: Claim | None = None
    ) -> SessionView:
        """The new session, whose log begins with `events` (the first being SessionOpened).

        The cursor of the origin's platform is made in the same transaction.
        Raises: AlreadyClaimed, FoldError, DatabaseDown.
        """

        async def work(transaction: Transaction) -> SessionView:
            if claim is not None:
                await take(transaction, claim, session_id)
            now = await transaction.clock()
            records = [Recorded(session_id, seq, now, event) for seq, event in enumerate(events, 1)]
            view = fold(records)
            await listing.insert(transaction, view)
            await self._insert(transaction, records)
            await first_cursor(transaction, view)
            return view

        view = await self._database.run(work)
        self._keep(view)
        await self._pulse.ring(session_id)
        return view

    async def append(
        self,
        session_id: str,
        events: Sequence[Event],
        *,
        expected_seq: int,
        epoch: int | None = None,
        claim: Claim | None = None,
    ) -> list[Recorded]:
        """The events in their places, all or none.

        expected_seq: the seq of the last event the writer has seen. epoch: that of the writer's lease, None
        for those who hold none (people's commands).
        Raises: NoSuchSession, Conflict, StaleEpoch, AlreadyClaimed, FoldError, DatabaseDown.
        """
        before = await self._view_at(session_id, expected_seq)
        return (await self._append(before, events, epoch, claim))[0]

    async def record(
        self,
        session_id: str,
        decide: Callable[[SessionView], Sequence[Event]],
        *,
        epoch: int | None = None,
        claim: Claim | None = None,
    ) -> SessionView:
        """The view after what `decide` made of the newest view; asked anew whenever somebody was faster.

        decide: pure; no events append nothing (a claim is taken all the same). What it raises passes through.
        Raises: NoSuchSession, StaleEpoch, AlreadyClaimed, FoldError, DatabaseDown.
        """
        tries = 0
        while True:
            before = await self.view(session_id)
            events = decide(before)
            if not events and claim is None:
                return before
            try:
                return (await self._append(before, events, epoch, claim))[1]
            except Conflict:
                tries += 1
                if tries > _PATIENT_TRIES:  # spread the writers out, or the slow ones lose every time
                    await asyncio.sleep(random.uniform(0, 0.002 * min(tries, 20)))

    async def read(self, session_id: str, after: int = 0, limit: int = _PAGE) -> list[Recorded]:
        """Events with a seq above `after`, in order, at most `limit`. Raises: DatabaseDown."""
        rows = await self._database.rows(
            "SELECT seq, type, body, at FROM events WHERE session_id = ? AND seq > ? ORDER BY seq LIMIT ?",
            session_id,
            after,
            limit,
        )
        return [
            Recorded(session_id, row["seq"], when(row["at"]), decode(row["type"], row["body"]))
            for row in rows
        ]

    async def view(self, session_id: str) -> SessionView:
        """The session as of its newest event. Raises: NoSuchSession, DatabaseDown."""
        view = self._views.get(session_id)
        while True:
            records = await self.read(session_id, view.seq if view else 0)
            if not records and view is None:
                raise NoSuchSession(session_id)
            view = fold(records, view)
            if len(records) < _PAGE:
                self._keep(view)
                return view

    def follow(self, session_id: str, after: int = 0) -> AsyncGenerator[Recorded, None]:
        """Every event above `after`, in order, each once, and then those to come; never ends.

        An outage of the database is waited out. Raises: NoSuchSession.
        """
        return self._follower.follow(session_id, after)

    async def sessions(self, filter: SessionFilter) -> list[SessionRow]:
        """Sessions that fit, newest change first. Raises: DatabaseDown."""
        return await listing.find(self._database, filter)

    async def clock(self) -> datetime:
        """The database's own time (UTC). Raises: DatabaseDown."""
        return await self._database.clock()

    async def claim(self, claim: Claim) -> bool:
        """Whether nobody had claimed it, for an event that causes no command. Raises: DatabaseDown."""
        try:
            await self._database.run(lambda transaction: take(transaction, claim, ""))
        except AlreadyClaimed:
            return False
        return True

    async def threads(
        self, platform: str, workspace: str, within: timedelta, limit: int
    ) -> list[tuple[str, str]]:
        """Channel and thread of the sessions there in which something happened `within` that time until now,
        the latest first, at most `limit`. Raises: DatabaseDown."""
        since = await self.clock() - within
        return await listing.threads(self._database, platform, workspace, since, limit)

    async def find_by_thread(self, platform: str, workspace: str, channel: str, thread: str) -> str | None:
        """The id of the session that lives in that thread."""
        return await listing.first_id(
            self._database,
            "platform = ? AND channel = ? AND thread = ? AND workspace = ?",
            platform,
            channel,
            thread,
            workspace,
        )

    async def find_by_pull_request(self, slug: str, number: int) -> str | None:
        """The id of the session whose pull request that is."""
        return await listing.first_id(
            self._database, "repository = ? AND pull_request_number = ?", slug, number
        )

    async def find_by_branch(self, slug: str, branch: str) -> str | None:
        """The id of the newest session that published that branch."""
        return await listing.first_id(self._database, "repository = ? AND branch = ?", slug, branch)

    async def _append(
        self, before: SessionView, events: Sequence[Event], epoch: int | None, claim: Claim | None
    ) -> tuple[list[Recorded], SessionView]:
        async def work(transaction: Transaction) -> tuple[list[Recorded], SessionView]:
            if claim is not None:
                await take(transaction, claim, before.id)
            if not events:
                return [], before
            # The row is locked and the seq compared by one statement; the rest rides on that lock.
            provisional = fold(_placed(before, events), before)
            now = await listing.update(transaction, provisional, expected_seq=before.seq)
            if now is None:
                raise Conflict(f"session {before.id} has moved on from event {before.seq}")
            if epoch is not None:
                await check_epoch(transaction, before.id, epoch)
            records = [Recorded(r.session_id, r.seq, now, r.event) for r in _placed(before, events)]
            await self._insert(transaction, records)
            await picks.remember(transaction, before, records)
            await move_cursors(transaction, before.id, records[-1].seq)
            return records, fold(records, before)

        records, view = await self._database.run(work)
        if records:
            self._keep(view)
            await self._pulse.ring(before.id)
        return records, view

    async def _insert(self, transaction: Transaction, records: Sequence[Recorded]) -> None:
        values: list[object] = []
        for record in records:
            values += [record.session_id, record.seq, *encode(record.event), record.at]
        rows = ", ".join([marks(5)] * len(records))
        await transaction.execute(
            f"INSERT INTO events (session_id, seq, type, body, at) VALUES {rows}", *values
        )
        await listing.add_participants(transaction, records)

    async def _view_at(self, session_id: str, seq: int) -> SessionView:
        cached = self._views.get(session_id)
        view = cached if cached is not None and cached.seq == seq else await self.view(session_id)
        if view.seq != seq:
            raise Conflict(f"session {session_id} is at event {view.seq}, not at {seq}")
        return view

    async def _head(self, session_id: str) -> int:
        rows = await self._database.rows("SELECT seq FROM sessions WHERE id = ?", session_id)
        if not rows:
            raise NoSuchSession(session_id)
        return int(rows[0]["seq"])

    def _keep(self, view: SessionView) -> None:
        known = self._views.get(view.id)
        if known is None or known.seq <= view.seq:
            self._views[view.id] = view
            self._views.move_to_end(view.id)
            if len(self._views) > _MAX_VIEWS:
                self._views.popitem(last=False)


def _placed(before: SessionView, events: Sequence[Event]) -> list[Recorded]:
    start = before.seq + 1
    return [Recorded(before.id, seq, before.updated_at, event) for seq, event in enumerate(events, start)]


__all__ = ["AlreadyClaimed", "Conflict", "FoldError", "Log", "NoSuchSession", "StaleEpoch"]
