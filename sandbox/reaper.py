"""Boxes nobody uses: stopped when idle, removed when their session is over or long quiet, or nobody knows
them. Services whose box has gone from under them go too."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import structlog

from sandbox.broker.client import BrokerFailed, BrokerUnavailable
from sandbox.doors import WorkerDoors
from sandbox.environments.protocol import (
    PURPOSE_LABEL,
    BoxInfo,
    Environment,
    EnvironmentUnavailable,
    SandboxFailed,
    SandboxSpec,
)
from sandbox.images.reaping import ImageReaper
from sandbox.images.running_build import BUILD
from sandbox.session_boxes import SessionBoxes
from sandbox.snapshots import SnapshotKeeper
from sandbox.warm_pool.making import WARM
from sandbox.warm_pool.pool import WarmPool
from session.database import DatabaseDown
from session.leases import Leases
from session.log import Log, NoSuchSession

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """After how long without an event a session's box is stopped, and after how long it is removed.

    A removed box is rebuilt from the session's last checkpoint when somebody prompts again.
    """

    idle: timedelta = timedelta(minutes=10)
    kept: timedelta = timedelta(days=3)


class Reaper:
    """Sweeps the boxes of one host, and its images with them. `inbound` holds the directories that boxes see
    of the host."""

    def __init__(
        self,
        environment: Environment,
        boxes: SessionBoxes,
        pool: WarmPool,
        log: Log,
        leases: Leases,
        doors: WorkerDoors,
        snapshots: SnapshotKeeper,
        inbound: Path,
        images: ImageReaper,
        lifetimes: Lifetimes | None = None,
    ) -> None:
        self._environment = environment
        self._boxes = boxes
        self._pool = pool
        self._log = log
        self._leases = leases
        self._doors = doors
        self._snapshots = snapshots
        self._inbound = inbound
        self._images = images
        self._lifetimes = lifetimes or Lifetimes()

    async def sweep(self, now: datetime | None = None) -> int:
        """How many boxes, snapshots and services without a running box were stopped or removed. A box whose
        session has a live lease is left alone, unless the session has another by now.

        `now` None means the present. Raises: EnvironmentUnavailable, DatabaseDown.
        """
        now = now or datetime.now(UTC)
        reaped = 0
        left = {box.box for box in await self._boxes.left()}
        boxes = await self._environment.list()
        for name in left - {box.name for box in boxes}:
            await self._boxes.forget(name)
        for box in boxes:
            try:
                reaped += await (self._clear(box) if box.name in left else self._look(box, now))
            except (SandboxFailed, BrokerUnavailable, BrokerFailed) as error:
                log.warning("box not reaped", box=box.name, error=str(error))
        reaped += await self._environment.sweep_services()
        return reaped + await self._snapshots.sweep(now)

    async def spare(self) -> Sequence[BoxInfo]:
        """Boxes that may go where room is short: they do not run, and the work of their session's last turn
        is saved outside of them. The one that was quiet longest comes first.

        Raises: EnvironmentUnavailable, SandboxFailed, DatabaseDown.
        """
        found: list[tuple[datetime, BoxInfo]] = []
        for box in await self._environment.list():
            session_id = await self._boxes.owner(box.name, box.session_id)
            # One that waited in the pool keeps its label, whoever has it now.
            own = box.labels.get(PURPOSE_LABEL, WARM) == WARM
            if box.running or not own or await self._leases.held(session_id):
                continue
            try:
                view = await self._log.view(session_id)
            except NoSuchSession:
                continue
            if view.saved and view.turn is not None and view.turn.outcome == "finished":
                found.append((view.updated_at, box))
        return [box for _, box in sorted(found, key=lambda item: item[0])]

    async def remove(self, box: BoxInfo) -> bool:
        """The box is gone, with its door and what it was given of the host.

        Raises: EnvironmentUnavailable, SandboxFailed, BrokerUnavailable, BrokerFailed.
        """
        await self._environment.remove(box.name)
        await self._boxes.forget(box.name)
        await self._doors.close(box.name)
        await asyncio.to_thread(shutil.rmtree, self._inbound / box.name, ignore_errors=True)
        log.info("box removed", session_id=box.session_id, box=box.name)
        return True

    async def run(self, every_seconds: float = 60.0) -> None:
        """Sweep for ever; an outage is waited out."""
        while True:
            try:
                await self.sweep()
                await self._images.sweep()
            except (EnvironmentUnavailable, DatabaseDown, SandboxFailed) as error:
                log.warning("boxes not swept", error=str(error))
            await asyncio.sleep(every_seconds)

    async def _clear(self, box: BoxInfo) -> bool:
        """The session has another box, with newer work in it, and will not come back to this one."""
        async with self._boxes.clearing(box.name) as is_left:
            return is_left and await self.remove(box)

    async def _look(self, box: BoxInfo, now: datetime) -> bool:
        if box.labels.get(PURPOSE_LABEL) == BUILD:
            return await self._images.look(box)
        if await self._pool.waits(box):
            return False
        session_id = await self._boxes.owner(box.name, box.session_id)
        if await self._leases.held(session_id):
            return False
        try:
            view = await self._log.view(session_id)
        except NoSuchSession:
            return await self.remove(box)
        quiet = now - view.updated_at
        checking = box.labels.get(PURPOSE_LABEL) == "verification"
        if checking or view.archived or quiet >= self._lifetimes.kept:
            return await self.remove(box)
        if box.running and quiet >= self._lifetimes.idle and not view.needs_worker:
            return await self._stop(box)
        return False

    async def _stop(self, box: BoxInfo) -> bool:
        spec = SandboxSpec(box.session_id, box.name, None, self._inbound / box.name)
        async with await self._environment.open(spec) as sandbox:
            await sandbox.stop()
        log.info("idle box stopped", session_id=box.session_id, box=box.name)
        return True
