"""Room on the disks that boxes lie on: cleared when it runs short, and no new box where that did not help."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence

import structlog

from sandbox.broker.client import BrokerFailed, BrokerUnavailable
from sandbox.disk_room import DiskLimits, NoRoom, gigabytes, shortage
from sandbox.environments.protocol import Environment, EnvironmentUnavailable, SandboxFailed
from sandbox.environments.usage import FullService
from sandbox.images.reaping import ImageReaper
from sandbox.reaper import Reaper
from sandbox.services import PREFIX
from sandbox.session_boxes import SessionBoxes
from sandbox.snapshots import SnapshotKeeper
from sandbox.warm_pool.pool import WarmPool
from session import events as e
from session.database import DatabaseDown
from session.log import Log, NoSuchSession
from session.parts import away
from session.view import SessionView

log = structlog.get_logger()


class DiskWatch:
    """Watches one host's disks."""

    def __init__(
        self,
        environment: Environment,
        boxes: SessionBoxes,
        log: Log,
        reaper: Reaper,
        pool: WarmPool,
        snapshots: SnapshotKeeper,
        images: ImageReaper,
        limits: DiskLimits,
    ) -> None:
        self._environment = environment
        self._boxes = boxes
        self._log = log
        self._reaper = reaper
        self._pool = pool
        self._snapshots = snapshots
        self._images = images
        self._limits = limits
        self._clearing = asyncio.Lock()

    async def run(self, every_seconds: float = 10.0) -> None:
        """Watch for ever; an outage is waited out."""
        while True:
            try:
                await self.look()
            except (EnvironmentUnavailable, SandboxFailed, DatabaseDown) as error:
                log.warning("disks not watched", error=str(error))
            await asyncio.sleep(every_seconds)

    async def look(self) -> str:
        """Services that have written too much are ended, and room is made where it is short; what is short
        all the same, in words.

        Emits: PartDegraded for a service, with NoteAdded where a turn is under way.
        Raises: EnvironmentUnavailable, SandboxFailed, DatabaseDown.
        """
        for service in await self._environment.end_full_services(self._limits.service_bytes):
            log.warning("service ended", service=service.name, disk_bytes=service.disk_bytes)
            await self._tell(service)
        return await self.make_room()

    async def admit(self, box: str) -> None:
        """Returns when there is room for the box, or the box is there already.

        Raises: NoRoom, EnvironmentUnavailable, SandboxFailed, DatabaseDown.
        """
        if not await self.shortage() or await self._environment.find(box) is not None:
            return
        if short := await self.make_room():
            raise NoRoom(f"{short}; clearing what nobody needs did not help")

    async def make_room(self, tell: Callable[[str], None] | None = None) -> str:
        """Boxes that wait, images, snapshots and stopped boxes that can be spared are gone, until there is
        room; what is short all the same, in words. `tell` hears what was removed, one after another.

        Raises: EnvironmentUnavailable, SandboxFailed, DatabaseDown.
        """
        async with self._clearing:
            short = await self.shortage()
            if not short:
                return ""
            log.warning("disk short", reason=short)
            async for what in self._cleared():
                log.warning("room made", removed=what)
                if tell is not None:
                    tell(what)
                if not (short := await self.shortage()):
                    break
            return short

    async def shortage(self) -> str:
        """What there is too little of, in words. Raises: EnvironmentUnavailable, SandboxFailed."""
        return await shortage(self._environment, self._limits)

    async def _cleared(self) -> AsyncIterator[str]:
        """Removes one thing after another, what is missed least first; what each was."""
        if count := await self._waiting_boxes():
            yield "1 box that waited" if count == 1 else f"{count} boxes that waited"
        if count := await self._images.sweep(kept=1):
            yield "1 image" if count == 1 else f"{count} images"
        for snapshot in await self._snapshots.oldest_first():
            await self._snapshots.drop(snapshot)
            yield f"the snapshot {snapshot.reference}"
        for box in await self._reaper.spare():
            try:
                await self._reaper.remove(box)
            except (SandboxFailed, BrokerUnavailable, BrokerFailed) as error:
                log.warning("box not removed", box=box.name, error=str(error))
                continue
            yield f"the stopped box {box.name}"

    async def _waiting_boxes(self) -> int:
        """How many boxes of the warm pool were removed."""
        try:
            return await self._pool.empty()
        except (BrokerUnavailable, BrokerFailed) as error:
            log.warning("warm pool not emptied", error=str(error))
            return 0

    async def _tell(self, service: FullService) -> None:
        detail = (
            f"it had written {gigabytes(service.disk_bytes)} beside its volumes, of "
            f"{gigabytes(self._limits.service_bytes)} that a service may, and was ended"
        )

        def decide(view: SessionView) -> Sequence[e.Event]:
            told = away(view, f"{PREFIX}{service.name}", detail)
            if not told or not view.turn_open or view.turn is None:
                return told
            text = f"The service {service.name} is gone: {detail}. It begins anew with the next prompt."
            return (*told, e.NoteAdded(turn_id=view.turn.turn_id, text=text))

        try:
            session_id = await self._boxes.owner(service.box, service.session_id)
            await self._log.record(session_id, decide)
        except NoSuchSession:
            # A build has none, and hears of it when its checks fail.
            log.info("nobody told of a service", service=service.name)
