"""Cursors: how far each consumer (a chat platform) has told each session's log."""

from __future__ import annotations

from dataclasses import dataclass

from session.database import Database
from session.pulse import Pulse


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
        raise NotImplementedError

    async def pending(self, consumer: str, limit: int = 100, *, skip: tuple[str, ...] = ()) -> list[Pending]:
        """Sessions with something left to tell, the longest waiting first; `skip`: ids to leave out."""
        raise NotImplementedError

    async def advance(self, consumer: str, session_id: str, seq: int) -> None:
        """Everything up to `seq` has been told. Never moves back."""
        raise NotImplementedError

    async def wait(self, consumer: str, timeout_seconds: float = 1.0) -> None:
        """Return when some log grew, at the latest after `timeout_seconds`."""
        raise NotImplementedError
