"""The reconciler: finds work that nobody does, and gets it done or fails it aloud."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog

from session.concurrency import waits_for_place
from session.database import Database, DatabaseDown, Row, when
from session.events import (
    ApprovalVoided,
    Event,
    MergeFailed,
    RoutingFailed,
    SessionStopped,
    TurnFailed,
    TurnStarted,
    UnknownEvent,
)
from session.fold import FoldError
from session.halt import KillSwitch
from session.leases import Leases
from session.listing import Need, need
from session.log import Conflict, Log
from session.parts import look_for_queue
from session.prompting import as_written
from session.queue import JobName, Queue
from session.view import SessionView

_log = structlog.get_logger(__name__)

_LIMIT = 100
_MAX_DRIVES = 3
_MAX_PAUSED_DRIVES = 20
"""A paused turn waits for an outside part to come back; at one look each 30 s it is given 10 minutes."""

_STUCK_SECONDS = 60.0
"""A job that is said to run, but took no lease and recorded nothing for so long, has lost its worker."""

_FRESH = 1_000_000
"""Added to the number of a re-driven job, whose old id arq may still count as running or used up."""

_JOBS: dict[Need, JobName] = {
    "read": "read_words",
    "route": "route_session",
    "turn": "run_turn",
    "merge": "merge_pull_request",
}


@dataclass(frozen=True, slots=True)
class _Look:
    """One session as the sweep found it."""

    view: SessionView
    wants: Need
    now: datetime
    drives: int
    epoch: int
    taken: bool


class Reconciler:
    """Sweeps for sessions that need a worker and have none. While all work is halted they wait, and that
    counts as no try.

    grace_seconds: how long a session is left alone after something happened in it or it was looked at.
    pause_seconds: how long a turn is left alone that waits for an outside part.
    """

    def __init__(
        self,
        database: Database,
        log: Log,
        leases: Leases,
        queue: Queue,
        *,
        grace_seconds: float = 5.0,
        pause_seconds: float = 30.0,
    ) -> None:
        self._database = database
        self._events = log
        self._leases = leases
        self._queue = queue
        self._switch = KillSwitch(database)
        self._grace = timedelta(seconds=grace_seconds)
        self._pause = timedelta(seconds=pause_seconds)

    async def run(self, every_seconds: float | None = None) -> None:
        """Sweep for ever; an outage of the database is waited out. every_seconds: None means the grace."""
        pause = self._grace.total_seconds() if every_seconds is None else every_seconds
        while True:
            try:
                await self.sweep()
            except DatabaseDown as error:
                _log.warning("sweep_waits", error=str(error))
            await asyncio.sleep(pause)

    async def sweep(self) -> int:
        """How many sessions were re-driven, stopped or failed. Raises: DatabaseDown."""
        now = await self._database.clock()
        halted = await self._switch.halted()
        rows = await self._database.rows(
            "SELECT s.id, s.drives, s.drive_mark, s.drive_epoch, l.epoch, l.expires_at "
            "FROM sessions s LEFT JOIN leases l ON l.session_id = s.id "
            "WHERE s.drive_at <= ? ORDER BY s.drive_at LIMIT ?",
            now - self._grace,
            _LIMIT,
        )
        acted = 0
        for row in rows:
            try:
                acted += await self._look(row, now, halted)
            except (UnknownEvent, FoldError) as error:  # one unreadable session must not hold up the others
                _log.error("session_unreadable", session_id=row["id"], error=str(error))
                await self._database.execute("UPDATE sessions SET drive_at = ? WHERE id = ?", now, row["id"])
        return acted

    async def _look(self, row: Row, now: datetime, halted: bool) -> bool:
        view = await self._events.view(row["id"])
        wants = need(view)
        if wants is None:
            return False
        worked_on = row["expires_at"] is not None and when(row["expires_at"]) > now
        if worked_on and wants != "read":  # reading needs no lease
            # Somebody works on it. Look again when the lease would run out, so that a dead worker is noticed.
            await self._put_off(view, when(row["expires_at"]) - self._grace)
            return False
        if view.state == "paused" and now - view.updated_at < self._pause:
            await self._put_off(view, view.updated_at + self._pause - self._grace)
            return False
        epoch = int(row["epoch"] or 0)
        mark = _progress(view)
        drives = int(row["drives"]) if row["drive_mark"] == mark else 0
        look = _Look(view, wants, now, drives, epoch, taken=epoch > int(row["drive_epoch"]))
        if view.stop_requested is not None and view.turn_open and not worked_on:
            return await self._end(look, _stopped(view))
        if halted:
            await self._put_off(view, now)
            return False
        if drives >= (_MAX_PAUSED_DRIVES if view.state == "paused" else _MAX_DRIVES):
            return await self._end(look, _failed(look))
        return await self._drive(look, mark)

    async def _drive(self, look: _Look, mark: str) -> bool:
        job = _JOBS[look.wants]
        look = replace(look, view=await look_for_queue(self._events, self._queue, look.view))
        base = look.epoch + 1 if look.wants == "turn" else look.view.seq
        status = await self._queue.status(job, look.view.id, base + look.drives * _FRESH)
        idle = look.now - look.view.updated_at
        in_hand = status == "queued" or (status == "running" and idle < timedelta(seconds=_STUCK_SECONDS))
        if in_hand or status == "unreachable":
            await self._put_off(look.view, look.now)
            return False
        # A turn's job that no worker ever took (Redis was emptied, no worker runs) is not a failed try, and
        # neither is one that found no place.
        tried = look.wants != "turn" or look.taken or status == "running"
        tried = tried and not waits_for_place(look.view)
        drives = look.drives + 1 if tried else look.drives
        number = base + drives * _FRESH
        if await self._queue.enqueue(job, look.view.id, number) == "unreachable":
            await self._put_off(look.view, look.now)
            return False
        await self._database.execute(
            "UPDATE sessions SET drive_at = ?, drives = ?, drive_mark = ?, drive_epoch = ? "
            "WHERE id = ? AND seq = ?",
            look.now,
            drives,
            mark,
            look.epoch,
            look.view.id,
            look.view.seq,
        )
        _log.info("redriven", session_id=look.view.id, job=job, number=number, drives=drives)
        return True

    async def _end(self, look: _Look, events: list[Event]) -> bool:
        try:
            await self._events.append(look.view.id, events, expected_seq=look.view.seq)
        except Conflict:
            return False  # it lives after all
        _log.warning("ended", session_id=look.view.id, by=type(events[-1]).__name__)
        return True

    async def _put_off(self, view: SessionView, looked_at: datetime) -> None:
        await self._database.execute(
            "UPDATE sessions SET drive_at = ? WHERE id = ? AND seq = ?", looked_at, view.id, view.seq
        )


def _progress(view: SessionView) -> str:
    """Changes whenever the work has come further; being taken up, paused or given a new box is not that."""
    calls = view.turn.tool_calls if view.turn else 0
    decided = sum(1 for item in view.approvals if item.state != "open")
    head = view.pull_request.head_sha if view.pull_request else ""
    tokens = view.input_tokens + view.output_tokens
    prompts = f"{len(view.prompts)}.{len(view.unread)}"
    return f"{view.turns}.{calls}.{tokens}.{prompts}.{len(view.approvals)}.{decided}.{head}"


def _stopped(view: SessionView) -> list[Event]:
    assert view.turn is not None
    assert view.stop_requested is not None
    return [
        SessionStopped(
            turn_id=view.turn.turn_id, by=view.stop_requested, halt=view.stop_halt, moving=view.stop_moving
        )
    ]


def _failed(look: _Look) -> list[Event]:
    view = look.view
    tried = f"I tried {look.drives} times"
    if look.wants == "read":
        return [event for prompt in view.unread for event in as_written(view, prompt)]
    if look.wants == "route":
        cause = f"{tried} to find out which repository is meant, and it did not come to an end"
        return [RoutingFailed(cause=cause, advice="Name the repository in a reply, or try again with 🔁.")]
    if look.wants == "merge":
        cause = f"{tried} to merge the pull request, and it did not come to an end"
        failed = MergeFailed(cause=cause, advice="Merge it on the forge, or ask me to merge again.")
        given = [a for a in view.approvals if a.state == "given" and a.request.kind == "merge"]
        return [*(ApprovalVoided(approval_id=a.request.approval_id, reason=cause) for a in given), failed]
    advice = "The work is saved. Try again with 🔁, or ask an admin to look at the worker's log."
    if view.state == "paused":
        cause = f"I waited for an outside part to come back and it did not ({view.last_action})"
    else:
        cause = f"{tried} to go on after my worker was lost, without getting any further"
    if view.turn is not None and view.turn_open:
        return [TurnFailed(turn_id=view.turn.turn_id, cause=cause, advice=advice)]
    # The prompt never became a turn: begin one, so that it can fail in its own name and the line moves on.
    turn_id = f"t_{secrets.token_hex(6)}"
    prompt_id = view.waiting_prompts[0].prompt.id
    started = TurnStarted(turn_id=turn_id, prompt_id=prompt_id, model="", epoch=look.epoch)
    return [started, TurnFailed(turn_id=turn_id, cause=cause, advice=advice)]
