"""Following a log: one reader a session and process, however many watch."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

import structlog

from session.database import DatabaseDown
from session.events import Recorded
from session.pulse import Pulse

_log = structlog.get_logger(__name__)

_KEPT = 500
"""Newest events of a followed session kept in memory; whoever is further behind reads the database."""

P = ParamSpec("P")
R = TypeVar("R")
Read = Callable[[str, int, int], Awaitable[list[Recorded]]]
Head = Callable[[str], Awaitable[int]]


@dataclass(frozen=True, slots=True)
class Looks:
    """Seconds between two looks at the database: how stale a follower may be while no rings are heard, and
    how often to look although they are, since one that was sent in the gap of a reconnect is lost."""

    unrung: float = 1.0
    rung: float = 4.0


class Follower:
    """Hands the events of followed sessions to all who follow in this process."""

    def __init__(self, read: Read, head: Head, pulse: Pulse, looks: Looks) -> None:
        self._read = read
        self._head = head
        self._pulse = pulse
        self._looks = looks
        self._tails: dict[str, _Tail] = {}

    async def follow(self, session_id: str, after: int) -> AsyncGenerator[Recorded, None]:
        """Every event above `after`, in order, each once; never ends.

        Raises: NoSuchSession; UnknownEvent, when the log holds what this version cannot read.
        """
        await self._patiently(self._head, session_id)
        tail = self._join(session_id)
        try:
            while True:
                grown = tail.grown
                records = tail.after(after)
                if records is None:
                    records = await self._patiently(self._read, session_id, after, _KEPT)
                for record in records:
                    yield record
                    after = record.seq
                if not records:
                    await grown.wait()
        finally:
            await self._leave(session_id, tail)

    async def _patiently(self, ask: Callable[P, Awaitable[R]], *args: P.args, **kwargs: P.kwargs) -> R:
        while True:
            try:
                return await ask(*args, **kwargs)
            except DatabaseDown as error:
                _log.warning("follower_waits", error=str(error))
                await asyncio.sleep(self._looks.unrung)

    def _join(self, session_id: str) -> _Tail:
        tail = self._tails.get(session_id)
        if tail is None:
            tail = self._tails[session_id] = _Tail()
            tail.task = asyncio.create_task(self._keep_up(session_id, tail))
            tail.task.add_done_callback(tail.ended)
        tail.followers += 1
        return tail

    async def _leave(self, session_id: str, tail: _Tail) -> None:
        tail.followers -= 1
        if tail.followers == 0:
            del self._tails[session_id]
            if tail.task is not None:
                tail.task.cancel()
                await asyncio.gather(tail.task, return_exceptions=True)

    async def _keep_up(self, session_id: str, tail: _Tail) -> None:
        with self._pulse.watch(session_id) as watch:
            head = await self._patiently(self._head, session_id)
            tail.start(head)
            while True:
                records = await self._patiently(self._read, session_id, tail.head, _KEPT)
                tail.extend(records)
                if len(records) < _KEPT:
                    await watch.wait(self._looks.rung if self._pulse.connected else self._looks.unrung)


class _Tail:
    """The newest events of one session."""

    def __init__(self) -> None:
        self.followers = 0
        self.task: asyncio.Task[None] | None = None
        self.grown = asyncio.Event()
        self._base: int | None = None
        self._broken: BaseException | None = None
        self._records: list[Recorded] = []

    @property
    def head(self) -> int:
        return (self._base or 0) + len(self._records)

    def start(self, head: int) -> None:
        self._base = head
        self._wake()

    def extend(self, records: list[Recorded]) -> None:
        if not records:
            return
        self._records += records
        surplus = len(self._records) - _KEPT
        if surplus > 0 and self._base is not None:
            del self._records[:surplus]
            self._base += surplus
        self._wake()

    def ended(self, task: asyncio.Task[None]) -> None:
        """The reader has gone; if something broke, all who follow are told instead of waiting for ever."""
        if not task.cancelled():
            self._broken = task.exception()
            self._wake()

    def after(self, seq: int) -> list[Recorded] | None:
        """Events above `seq`; None when some of them are no longer (or not yet) here."""
        if self._broken is not None:
            raise self._broken
        if self._base is None or seq < self._base:
            return None
        return self._records[seq - self._base :]

    def _wake(self) -> None:
        self.grown.set()
        self.grown = asyncio.Event()
