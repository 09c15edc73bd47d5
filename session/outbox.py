"""Cursors: how far each consumer (a chat platform) has told each session's log."""

from __future__ import annotations

from dataclasses import dataclass

from session.database import Database, Transaction, marks
from session.pulse import Pulse
from session.view import SessionView


@dataclass(frozen=True, slots=True)
class Pending:
    """A session whose log the consumer has not told to its end."""

    session_id: str
    delivered_seq: int
    seq: int


class Outbox:
    """All consumers' cursors. The consumer of a chat platform is the platform's name ("slack")."""

    def __init__(self, database: Database, pulse: Pulse) -> None:
        self._database = database
        self._pulse = pulse

    async def subscribe(self, consumer: str, session_id: str, *, delivered_seq: int = 0) -> None:
        """Let the consumer tell that session from `delivered_seq` on. Does nothing when it already does.

        The origin's platform needs no call: its cursor is made when the session is opened.
        """

        async def work(transaction: Transaction) -> None:
            rows = await transaction.rows(
                f"SELECT seq FROM sessions WHERE id = ? {transaction.for_update}", session_id
            )
            if rows:
                await _insert(transaction, consumer, session_id, delivered_seq, int(rows[0]["seq"]))

        await self._database.run(work)

    async def pending(self, consumer: str, limit: int = 100, *, skip: tuple[str, ...] = ()) -> list[Pending]:
        """Sessions with something left to tell, the longest waiting first; `skip`: ids to leave out."""
        left_out = f"AND session_id NOT IN {marks(len(skip))} " if skip else ""
        rows = await self._database.rows(
            "SELECT session_id, delivered_seq, seq FROM cursors "
            f"WHERE consumer = ? AND waiting_since IS NOT NULL {left_out}ORDER BY waiting_since LIMIT ?",
            consumer,
            *skip,
            limit,
        )
        return [Pending(row["session_id"], row["delivered_seq"], row["seq"]) for row in rows]

    async def advance(self, consumer: str, session_id: str, seq: int) -> None:
        """Everything up to `seq` has been told. Never moves back."""

        async def work(transaction: Transaction) -> None:
            await transaction.execute(
                "UPDATE cursors SET delivered_seq = ?, "
                f"waiting_since = CASE WHEN seq <= ? THEN NULL ELSE {transaction.now} END "
                "WHERE consumer = ? AND session_id = ? AND delivered_seq < ?",
                seq,
                seq,
                consumer,
                session_id,
                seq,
            )

        await self._database.run(work)

    async def wait(self, consumer: str, timeout_seconds: float = 1.0, *, skip: tuple[str, ...] = ()) -> None:
        """Return when some log grew, at the latest after `timeout_seconds`.

        Growth before the call does not count: look with `pending` after every wait. skip: sessions that the
        caller is telling already, so that having something left to tell in them is no news.
        """
        with self._pulse.watch() as watch:
            if not await self.pending(consumer, limit=1, skip=skip):
                await watch.wait(timeout_seconds)


async def first_cursor(transaction: Transaction, view: SessionView) -> None:
    """Let the platform where the session lives tell it, from the first event on. The web needs no telling."""
    if view.origin.platform != "web":
        await _insert(transaction, view.origin.platform, view.id, 0, view.seq)


async def move_cursors(transaction: Transaction, session_id: str, seq: int) -> None:
    """The session's log has grown to `seq`: all its consumers have something to tell."""
    await transaction.execute(
        f"UPDATE cursors SET seq = ?, waiting_since = COALESCE(waiting_since, {transaction.now}) "
        "WHERE session_id = ?",
        seq,
        session_id,
    )


async def _insert(transaction: Transaction, consumer: str, session_id: str, delivered: int, seq: int) -> None:
    since = transaction.now if delivered < seq else "NULL"
    await transaction.execute(
        "INSERT INTO cursors (consumer, session_id, delivered_seq, seq, waiting_since) "
        f"VALUES (?, ?, ?, ?, {since}) ON CONFLICT (session_id, consumer) DO NOTHING",
        consumer,
        session_id,
        delivered,
        seq,
    )
