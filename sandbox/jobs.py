"""The jobs of a worker: a turn, a merge. Each runs under the session's lease and stops when it is lost."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from uuid import uuid4

import structlog

from sandbox.agent.turn_log import StopSeen, TurnLog, TurnOver
from sandbox.broker.client import BrokerUnavailable
from sandbox.driver import TurnDriver
from sandbox.failures import EXPECTED, told
from sandbox.merging import ApprovalGone, ForgeAway, Merger
from sandbox.preference import Preference
from session import events as e
from session.concurrency import Concurrency, waits_for_place
from session.database import DatabaseDown
from session.halt import KillSwitch
from session.leases import Lease, LeaseLost, Leases, StaleEpoch
from session.log import Log
from session.parts import away
from session.queue import Queue
from session.view import SessionView

log = structlog.get_logger()

QUIET_ENDINGS = (StaleEpoch, LeaseLost, TurnOver)
"""The session belongs to somebody else now: not a word more is written."""


@dataclass(frozen=True, slots=True)
class JobTimes:
    """Seconds: between signs of life, of silence after which a lease counts as lost, and a turn may work."""

    heartbeat_seconds: float
    lease_seconds: float
    turn_limit_seconds: float


class Jobs:
    """What workers do, by the names under which the queue knows it."""

    def __init__(
        self,
        *,
        log: Log,
        leases: Leases,
        queue: Queue,
        switch: KillSwitch,
        concurrency: Concurrency,
        preference: Preference,
        driver: TurnDriver,
        merger: Merger,
        times: JobTimes,
    ) -> None:
        self._log = log
        self._switch = switch
        self._concurrency = concurrency
        self._preference = preference
        self._leases = leases
        self._queue = queue
        self._driver = driver
        self._merger = merger
        self._times = times
        self._holder = f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:6]}"

    async def run_turn(self, session_id: str) -> None:
        """The session's turn goes on where its box is, or else here."""
        if not await self._switch.halted() and not await self._preference.handed_on(session_id):
            await self.run_turn_here(session_id)

    async def run_turn_here(self, session_id: str) -> None:
        """The session's turn goes on as far as it can; nothing is done while another worker has it.

        Prompts that wait afterwards ring for a worker again. While everything is switched off nothing is
        taken up: the reconciler comes back to it.
        """
        if await self._switch.halted():
            return
        lease = await self._leases.acquire(session_id, self._holder)
        if lease is None:
            return
        try:
            await self._turn_under(lease)
        except asyncio.CancelledError:
            # This worker is told to go, as deploys do: rung for now, another takes the turn up at once, and
            # the reconciler does not count it as a try that failed.
            await self._leases.release(lease)
            await self._ring_again(session_id)
            raise
        finally:
            await self._leases.release(lease)
        await self._ring_again(session_id)

    async def merge_pull_request(self, session_id: str) -> None:
        """Every approved merge of the session is carried out; nothing is done while a worker has the
        session."""
        if await self._switch.halted():
            return
        lease = await self._leases.acquire(session_id, self._holder)
        if lease is None:
            return
        try:
            work = self._merger.merge_approved(session_id, lease.epoch)
            await self._guarded(lease, work, self._times.turn_limit_seconds)
        except (*QUIET_ENDINGS, ApprovalGone, DatabaseDown) as error:
            log.info("merge left", session_id=session_id, reason=str(error))
        except ForgeAway as error:
            # The yes still stands: the reconciler has it tried again, and fails it aloud in the end.
            log.warning("merge left until the forge answers", session_id=session_id, reason=str(error))
        except Exception as error:  # the edge of a job: it becomes a failure people see
            log.exception("merge failed", session_id=session_id)
            failed = e.MergeFailed(
                cause=f"Something went wrong inside Bellhop ({type(error).__name__}).",
                advice="Merge it on the forge, or approve again.",
            )
            await self._log.record(session_id, lambda _: (failed,), epoch=lease.epoch)
        finally:
            await self._leases.release(lease)
        await self._ring_again(session_id)

    async def _turn_under(self, lease: Lease) -> None:
        turn = TurnLog(self._log, lease.session_id, lease.epoch)
        if not (await turn.catch_up()).needs_worker:
            return
        try:
            await self._guarded(lease, self._work(turn), self._times.turn_limit_seconds)
        except StopSeen:
            await self._stop(lease, turn)
        except DatabaseDown as error:
            # What is not on record did not happen: the turn stays open, and is taken up again later.
            log.warning("turn left until the database answers", session_id=turn.session_id, reason=str(error))
        except QUIET_ENDINGS as error:
            log.warning("turn left to another", session_id=turn.session_id, reason=str(error))
        except TurnTooLong:
            hours = self._times.turn_limit_seconds / 3600
            await self._fail(
                turn,
                e.TurnFailed(
                    turn_id=turn.turn_id,
                    cause=f"The turn has worked for {hours:g} hours, which is the limit.",
                    advice="The work is saved. Say how to go on.",
                ),
            )
        except EXPECTED as error:
            log.warning("turn cannot go on", session_id=turn.session_id, reason=str(error))
            noted = _noted(turn.view, error)
            await self._fail(turn, *noted, told(turn.turn_id, error))
        except Exception as error:  # the edge of a job: it becomes a failure people see
            log.exception("turn failed", session_id=turn.session_id)
            await self._fail(turn, told(turn.turn_id, error))

    async def _work(self, turn: TurnLog) -> None:
        if turn.view.stop_requested is not None:
            raise StopSeen(turn.session_id)
        if not await self._concurrency.admitted(turn.view, turn.epoch):
            return
        await self._driver.take_up(turn)
        await self._driver.drive(turn)

    async def _guarded(self, lease: Lease, work: Coroutine[None, None, None], limit_seconds: float) -> None:
        """Do the work while the lease is held, nobody asks for a stop, and time is left.

        Raises: LeaseLost, StopSeen, TurnTooLong, and what the work raises. The work is over in every case.
        """
        tasks = [
            asyncio.create_task(work, name=f"work of {lease.session_id}"),
            asyncio.create_task(self._heartbeat(lease), name=f"heartbeat of {lease.session_id}"),
            asyncio.create_task(self._watch_for_stop(lease.session_id), name=f"stop of {lease.session_id}"),
        ]
        try:
            done, _ = await asyncio.wait(tasks, timeout=limit_seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await _end(tasks)
        if not done:
            raise TurnTooLong(lease.session_id)
        # A lost lease counts first: whoever lost it must not even report what went wrong.
        for task in sorted(done, key=lambda task: tasks.index(task), reverse=True):
            task.result()

    async def _heartbeat(self, lease: Lease) -> None:
        """Holds on to the lease. Raises: LeaseLost, also when the database was silent for as long as it
        lasts."""
        heard = time.monotonic()
        while True:
            await asyncio.sleep(self._times.heartbeat_seconds)
            try:
                await self._leases.heartbeat(lease)
                heard = time.monotonic()
            except DatabaseDown as error:
                if time.monotonic() - heard >= self._times.lease_seconds:
                    raise LeaseLost(f"the database was silent for the length of a lease ({error})") from error

    async def _watch_for_stop(self, session_id: str) -> None:
        """Raises: StopSeen, as soon as somebody asks for a stop that was not carried out."""
        view = await self._log.view(session_id)
        if view.stop_requested is not None:
            raise StopSeen(session_id)
        async for record in self._log.follow(session_id, after=view.seq):
            if isinstance(record.event, e.StopRequested):
                raise StopSeen(session_id)

    async def _stop(self, lease: Lease, turn: TurnLog) -> None:
        """Nothing runs any more: say so at once, then save the work and end the box's processes."""
        await turn.catch_up()

        def decide(view: SessionView) -> Sequence[e.Event]:
            if view.stop_requested is None:
                return ()
            stopped = e.SessionStopped(
                turn_id=view.turn.turn_id if view.turn and view.turn_open else None,
                by=view.stop_requested,
                halt=view.stop_halt,
                moving=view.stop_moving,
            )
            return (*_cancelled(turn), stopped)

        await self._log.record(turn.session_id, decide, epoch=turn.epoch)
        if await self._switch.halted():
            return  # every box of this host is being killed, with its files kept
        try:
            still = self._driver.still(turn)
            async with asyncio.timeout(self._times.turn_limit_seconds):
                await self._held(lease, still)
        except Exception:  # people were told; the box is swept later
            log.exception("box not stopped", session_id=turn.session_id)

    async def _held(self, lease: Lease, work: Coroutine[None, None, None]) -> None:
        tasks = [asyncio.create_task(work), asyncio.create_task(self._heartbeat(lease))]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await _end(tasks)
        for task in done:
            task.result()

    async def _fail(self, turn: TurnLog, *events: e.Event) -> None:
        try:
            await turn.append(*events)
        except (*QUIET_ENDINGS, DatabaseDown) as error:
            log.warning("failure not recorded", session_id=turn.session_id, reason=str(error))

    async def _ring_again(self, session_id: str) -> None:
        """Ring for what came while the lease was held; what waits for something outside is rung for later.

        Where only so many may work at once, those who wait are told that a place is free.
        """
        view = await self._log.view(session_id)
        if view.needs_worker and view.state != "paused" and not waits_for_place(view):
            await self._ring(session_id)
        for waiting in await self._concurrency.next():
            await self._ring(waiting)

    async def _ring(self, session_id: str) -> None:
        await self._queue.enqueue("run_turn", session_id, await self._leases.next_epoch(session_id))


class TurnTooLong(Exception):
    """The turn has worked as long as a turn may."""


def _noted(view: SessionView, error: Exception) -> list[e.PartDegraded]:
    """What the card is told of a broker or an audit that is away."""
    if not isinstance(error, BrokerUnavailable) or not error.part:
        return []
    return away(view, error.part, str(error))


def _cancelled(turn: TurnLog) -> list[e.Event]:
    """A cancelled result for each call that began and did not return."""
    returned = {r.event.call_id for r in turn.records if isinstance(r.event, e.ToolReturned)}
    return [
        e.ToolReturned(
            turn_id=record.event.turn_id,
            call_id=record.event.call_id,
            tool=record.event.tool,
            status="cancelled",
            output="Cancelled: the session was stopped.",
        )
        for record in turn.turn_records
        if isinstance(record.event, e.ToolCalled) and record.event.call_id not in returned
    ]


async def _end(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
