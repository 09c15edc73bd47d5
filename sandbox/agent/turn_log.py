"""A turn's hold on its session's log: what was recorded so far, and writing under the turn's lease."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime

from session import events as e
from session.fold import apply
from session.log import Log
from session.people import Person
from session.view import SessionView

PAGE = 1000


class StopSeen(Exception):
    """Somebody asked for the work to stop: no new effect may begin."""


class TurnOver(Exception):
    """The turn was ended by somebody else: nothing more may be written for it."""


class TurnLog:
    """The log of one session as its turn sees it.

    `records` is everything so far and `view` its fold, both as of the last `catch_up` or append. `epoch` is
    that of the lease under which all is written.
    """

    def __init__(self, log: Log, session_id: str, epoch: int) -> None:
        self._log = log
        self.session_id = session_id
        self.epoch = epoch
        self.records: list[e.Recorded] = []
        self._view: SessionView | None = None
        self._catching_up = asyncio.Lock()

    @property
    def view(self) -> SessionView:
        """The session's state; `catch_up` must have run once."""
        assert self._view is not None, "catch_up has not run"
        return self._view

    @property
    def turn_id(self) -> str:
        """The id of the current or last turn; empty before the first."""
        return self.view.turn.turn_id if self.view.turn else ""

    @property
    def turn_records(self) -> list[e.Recorded]:
        """The records since the current turn started."""
        for position in range(len(self.records) - 1, -1, -1):
            event = self.records[position].event
            if isinstance(event, e.TurnStarted) and event.turn_id == self.turn_id:
                return self.records[position:]
        return []

    @property
    def author(self) -> Person:
        """Whose prompt the current turn is about."""
        prompt = self.view.prompt(self.view.turn.prompt_id) if self.view.turn else None
        return prompt.prompt.author if prompt else self.view.requester

    async def catch_up(self) -> SessionView:
        """The newest state, with `records` and `view` brought up to it."""
        # The agent and what is done beside it write both: each record is taken in once.
        async with self._catching_up:
            while True:
                after = self.records[-1].seq if self.records else 0
                page = await self._log.read(self.session_id, after=after, limit=PAGE)
                for record in page:
                    self._view = apply(self._view, record)
                self.records.extend(page)
                if len(page) < PAGE:
                    return self.view

    async def clock(self) -> datetime:
        """The record's own time (UTC), by which approvals run out. Raises: DatabaseDown."""
        return await self._log.clock()

    async def start(self, started: e.TurnStarted) -> None:
        """Record that a turn begins, if its prompt still waits and no other turn is open.

        Raises: StopSeen, TurnOver, StaleEpoch.
        """

        def decide(view: SessionView) -> tuple[e.Event, ...]:
            prompt = view.prompt(started.prompt_id)
            if view.stop_requested is not None:
                raise StopSeen(self.session_id)
            if view.turn_open or prompt is None or prompt.state != "waiting":
                raise TurnOver(f"prompt {started.prompt_id} of session {self.session_id} no longer waits")
            return (started,)

        await self._log.record(self.session_id, decide, epoch=self.epoch)
        await self.catch_up()

    async def begin(self, *events: e.Event) -> None:
        """Record what comes before an effect; an approval is used only while it is given.

        Raises: StopSeen, TurnOver (nothing is recorded then), StaleEpoch.
        """
        await self._record(events, refuse_stopped=True)

    async def append(self, *events: e.Event) -> None:
        """Record what has happened; a stop that was asked for meanwhile does not make it untrue.

        Raises: TurnOver, StaleEpoch.
        """
        await self._record(events, refuse_stopped=False)

    async def note(self, decide: Callable[[SessionView], Sequence[e.Event]]) -> None:
        """Record what is true of the session whether its turn is open or over; `decide` is given its newest
        state. Raises: StaleEpoch."""
        await self._log.record(self.session_id, decide, epoch=self.epoch)
        await self.catch_up()

    async def check_stop(self) -> None:
        """Return if nobody asked for a stop. Raises: StopSeen."""
        if (await self.catch_up()).stop_requested is not None:
            raise StopSeen(self.session_id)

    async def _record(self, events: tuple[e.Event, ...], *, refuse_stopped: bool) -> None:
        turn_id = self.turn_id

        def decide(view: SessionView) -> tuple[e.Event, ...]:
            if refuse_stopped and view.stop_requested is not None:
                raise StopSeen(self.session_id)
            if view.turn is None or view.turn.turn_id != turn_id or not view.turn_open:
                raise TurnOver(f"turn {turn_id} of session {self.session_id} is over")
            for event in events:
                if isinstance(event, e.ApprovalUsed):
                    item = view.approval(event.approval_id)
                    if item is None or item.state != "given":
                        raise TurnOver(f"approval {event.approval_id} was taken back before it was used")
            return events

        if events:
            await self._log.record(self.session_id, decide, epoch=self.epoch)
        await self.catch_up()
