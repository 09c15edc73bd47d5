"""Snapshots of boxes: taken after each turn beside all else, used when a box is gone, dropped in time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from sandbox.environments.protocol import Environment, EnvironmentUnavailable, SandboxFailed
from sandbox.runner import VERSION
from session.database import DatabaseDown
from session.log import Log, NoSuchSession
from session.snapshots import Snapshot, Snapshots
from session.view import SessionView

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Keeping:
    """How long snapshots are kept without a newer one, and how many on one host."""

    age: timedelta = timedelta(days=7)
    most: int = 50


@dataclass(frozen=True, slots=True)
class Finished:
    """A turn that ended: whose, in which box, with what repository, and the SHA it was saved under."""

    session_id: str
    box: str
    repository: str
    turns: int
    checkpoint: str


class SnapshotKeeper:
    """Takes and finds the snapshots of one host's boxes. Nobody waits for one that is being taken."""

    def __init__(
        self, environment: Environment, log: Log, snapshots: Snapshots, keeping: Keeping | None = None
    ) -> None:
        self._environment = environment
        self._log = log
        self._snapshots = snapshots
        self._keeping = keeping or Keeping()
        self._finished: asyncio.Queue[Finished] = asyncio.Queue()

    def ask(self, finished: Finished) -> None:
        """Have a snapshot of the box taken as soon as it is its turn."""
        if self._environment.forgetful:
            self._finished.put_nowait(finished)

    async def run(self) -> None:
        """Take what was asked for, one after the other, for ever."""
        while True:
            await self._take_quietly(await self._finished.get())

    async def settle(self) -> None:
        """Take what was asked for until now."""
        while not self._finished.empty():
            await self._take_quietly(self._finished.get_nowait())

    async def usable(self, session_id: str, repository: str) -> Snapshot | None:
        """The newest snapshot that a box of the session can be made of; those that no longer fit are dropped.

        Raises: EnvironmentUnavailable, DatabaseDown.
        """
        if not self._environment.forgetful:
            return None
        fitting: Snapshot | None = None
        for snapshot in await self._snapshots.of(session_id, await self._environment.place()):
            if fitting is None and snapshot.runner == VERSION and snapshot.repository == repository:
                fitting = snapshot
            else:
                await self.drop(snapshot)
        return fitting

    async def drop(self, snapshot: Snapshot) -> None:
        """It is gone, from the host and from the record."""
        try:
            await self._environment.remove_snapshot(snapshot.reference)
        except SandboxFailed as error:
            # Its row stays, so the next sweep tries again.
            log.warning("snapshot not removed", reference=snapshot.reference, error=str(error))
            return
        await self._snapshots.drop(snapshot.reference)

    async def sweep(self, now: datetime) -> int:
        """How many snapshots were dropped: too old, too many, of a session that is over, or not on record.

        Raises: EnvironmentUnavailable, DatabaseDown.
        """
        if not self._environment.forgetful:
            return 0
        # Listed before the record is read: one that is being taken is recorded right after it is there.
        here = await self._environment.snapshots()
        kept = dropped = 0
        known = await self._snapshots.on(await self._environment.place())
        for snapshot in known:
            young = now - snapshot.taken_at < self._keeping.age
            if young and kept < self._keeping.most and await self._lives(snapshot.session_id):
                kept += 1
            else:
                await self.drop(snapshot)
                dropped += 1
        for reference in set(here) - {snapshot.reference for snapshot in known}:
            # Its worker died between taking it and writing it down.
            await self._environment.remove_snapshot(reference)
            dropped += 1
        return dropped

    async def oldest_first(self) -> Sequence[Snapshot]:
        """All of this host. Raises: EnvironmentUnavailable, SandboxFailed, DatabaseDown."""
        if not self._environment.forgetful:
            return []
        return sorted(
            await self._snapshots.on(await self._environment.place()), key=lambda each: each.taken_at
        )

    async def _lives(self, session_id: str) -> bool:
        view = await self._view(session_id)
        return view is not None and not view.archived

    async def _take_quietly(self, finished: Finished) -> None:
        try:
            await self._take(finished)
        except (EnvironmentUnavailable, SandboxFailed, DatabaseDown) as error:
            # The checkpoint has the work: what is lost is the way back that takes less time.
            log.warning("no snapshot", session_id=finished.session_id, error=str(error))

    async def _take(self, finished: Finished) -> None:
        if await self._moved_on(finished):
            return
        place = await self._environment.place()
        former = await self._snapshots.of(finished.session_id, place)
        reference = await self._environment.snapshot(finished.box, f"t{finished.turns}")
        snapshot = Snapshot(
            reference=reference,
            session_id=finished.session_id,
            place=place,
            repository=finished.repository,
            turns=finished.turns,
            checkpoint=finished.checkpoint,
            runner=VERSION,
        )
        if await self._moved_on(finished):
            # The next turn has begun to change files: half of what it did may be in it.
            await self._environment.remove_snapshot(reference)
            return
        await self._snapshots.add(snapshot)
        for old in former:
            if old.reference != reference:
                await self.drop(old)

    async def _moved_on(self, finished: Finished) -> bool:
        view = await self._view(finished.session_id)
        return view is None or view.turn_open or view.turns != finished.turns

    async def _view(self, session_id: str) -> SessionView | None:
        try:
            return await self._log.view(session_id)
        except NoSuchSession:
            return None
