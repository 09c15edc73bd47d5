"""The log: appends in one transaction with what they cause, reads, folds and follows."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence

from session.database import Database
from session.events import Event, Recorded
from session.inbox import Claim
from session.listing import SessionFilter, SessionRow
from session.pulse import Pulse
from session.view import SessionView


class NoSuchSession(Exception):
    """There is no session with that id."""


class Conflict(Exception):
    """Somebody else appended first."""


class StaleEpoch(Exception):
    """The writer's lease has run out or was taken by another: its word does not count any more."""


class Log:
    """The event log of all sessions."""

    def __init__(self, database: Database, pulse: Pulse) -> None:
        self._database = database
        self._pulse = pulse

    async def create(
        self, session_id: str, events: Sequence[Event], *, claim: Claim | None = None
    ) -> SessionView:
        """The new session, whose log begins with `events` (the first being SessionOpened).

        The cursor of the origin's platform is made in the same transaction.
        Raises: AlreadyClaimed, FoldError.
        """
        raise NotImplementedError

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
        Raises: NoSuchSession, Conflict, StaleEpoch, AlreadyClaimed, FoldError.
        """
        raise NotImplementedError

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
        Raises: NoSuchSession, StaleEpoch, AlreadyClaimed, FoldError.
        """
        raise NotImplementedError

    async def read(self, session_id: str, after: int = 0, limit: int = 1000) -> list[Recorded]:
        """Events with a seq above `after`, in order, at most `limit`."""
        raise NotImplementedError

    async def view(self, session_id: str) -> SessionView:
        """The session as of its newest event. Raises: NoSuchSession."""
        raise NotImplementedError

    def follow(self, session_id: str, after: int = 0) -> AsyncIterator[Recorded]:
        """Every event above `after`, in order, each once, and then those to come; never ends."""
        raise NotImplementedError

    async def sessions(self, filter: SessionFilter) -> list[SessionRow]:
        """Sessions that fit, newest change first."""
        raise NotImplementedError

    async def find_by_thread(self, platform: str, workspace: str, channel: str, thread: str) -> str | None:
        """The id of the session that lives in that thread."""
        raise NotImplementedError

    async def find_by_pull_request(self, slug: str, number: int) -> str | None:
        """The id of the session whose pull request that is."""
        raise NotImplementedError

    async def find_by_branch(self, slug: str, branch: str) -> str | None:
        """The id of the newest session that published that branch."""
        raise NotImplementedError
