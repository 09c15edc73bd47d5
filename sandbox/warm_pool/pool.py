"""The warm pool of one host: boxes that wait for sessions, refilled and renewed beside all else."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from uuid import uuid4

import structlog

from sandbox.broker.client import BrokerFailed, BrokerUnavailable
from sandbox.disk_room import shortage
from sandbox.environments.protocol import (
    PURPOSE_LABEL,
    BoxInfo,
    EnvironmentUnavailable,
    SandboxFailed,
    SandboxSpec,
)
from sandbox.warm_pool.making import NOT_MADE, WARM, WarmMaker, WarmParts, fit
from sandbox.warm_pool.sizing import wanted
from session.catalogue import Catalogue, Repository, UnknownRepository
from session.database import DatabaseDown
from session.halt import KillSwitch
from session.locks import Locks
from session.pulse import Watch
from session.warm_boxes import WarmBox

log = structlog.get_logger()

AGE = timedelta(hours=1)
MAKING = timedelta(minutes=5)
"""A box that is still being made after so long was left behind by its worker."""

SPAN = timedelta(hours=1)
LOOK_SECONDS = 15.0
REFILL_SECONDS = 2.0
"""So long after a box was taken the next one is made: the turn that took it has its start behind it."""

HINT = timedelta(minutes=10)
RETRY_SECONDS = 300.0
LEASE = timedelta(minutes=2)
AWAY = (EnvironmentUnavailable, SandboxFailed, BrokerUnavailable, BrokerFailed, DatabaseDown)


class WarmPool:
    """Keeps at most `most` boxes waiting on this host; 0: none. One worker at a time sees to them."""

    def __init__(
        self, parts: WarmParts, catalogue: Catalogue, locks: Locks, switch: KillSwitch, most: int
    ) -> None:
        self.parts = parts
        self._maker = WarmMaker(parts)
        self._catalogue = catalogue
        self._locks = locks
        self._switch = switch
        self._most = most
        self._holder = uuid4().hex
        # Replaced while it runs by one that hints ring too.
        self._news = Watch()
        # By slug, each until when: what is not tried again yet.
        self._failed: dict[str, float] = {}

    async def take(self, session_id: str, spec: SandboxSpec, repository: Repository) -> str | None:
        """The name of a box that waited and is the session's from now on; None when none fits `spec`.

        Raises: EnvironmentUnavailable, DatabaseDown.
        """
        if not self._most:
            return None
        place = await self.parts.environment.place()
        name = await self.parts.boxes.take(session_id, place, repository.slug, fit(spec, repository))
        if name is not None:
            asyncio.get_running_loop().call_later(REFILL_SECONDS, self._news.ring)
        return name

    async def warm_box(self, slug: str) -> None:
        """Somebody is about to ask something of that repository, so a box of it should wait: on every host,
        since any may take the turn."""
        try:
            await self.parts.hints.give(self._catalogue.get(slug).slug, HINT)
        except (UnknownRepository, DatabaseDown) as error:
            log.warning("no box warmed", repository=slug, reason=str(error))

    async def waits(self, box: BoxInfo) -> bool:
        """Whether it is the pool that keeps and removes the box. Raises: EnvironmentUnavailable,
        DatabaseDown."""
        if box.labels.get(PURPOSE_LABEL) != WARM:
            return False
        return await self.parts.boxes.known(box.name, await self.parts.environment.place())

    async def run(self) -> None:
        """Look after the pool until cancelled; then it is emptied. An outage is waited out."""
        try:
            with self.parts.hints.watch() as self._news:
                while True:
                    await self.look_quietly()
                    await self._news.wait(LOOK_SECONDS)
        finally:
            try:
                await self.empty()
            except AWAY as error:
                # They wait on, and the next worker here renews or removes them.
                log.warning("warm pool not emptied", error=str(error))

    async def look(self, now: datetime | None = None) -> None:
        """Boxes that would not be made so today are gone, and where some are lacking they are made.

        `now` None means the present. Raises: those of `AWAY`.
        """
        if not self._most or await self._switch.halted():
            await self.empty()
            return
        lock = f"warm:{await self.parts.environment.place()}"[:255]
        if not await self._locks.take(lock, self._holder, LEASE):
            return
        try:
            await self._renew(now or await self.parts.boxes.clock())
            await self._fill(lock)
        finally:
            await self._locks.drop(lock, self._holder)

    async def look_quietly(self) -> None:
        """The same; what goes wrong is left for the next look."""
        try:
            await self.look()
        except AWAY as error:
            log.warning("warm pool not looked at", error=str(error))
        except Exception:  # told with its traceback: no turn may end for the sake of boxes that wait
            log.exception("warm pool not looked at")

    async def empty(self) -> int:
        """No box waits any more; how many did. Raises: those of `AWAY`."""
        boxes = await self.parts.boxes.on(await self.parts.environment.place())
        for box in boxes:
            await self._remove(box, "none should wait")
        return len(boxes)

    async def _renew(self, now: datetime) -> None:
        boxes = await self.parts.boxes.on(await self.parts.environment.place())
        if not boxes:
            return
        running = {box.name for box in await self.parts.environment.list() if box.running}
        for box in boxes:
            why = await self._unfit(box, now, running)
            if why:
                await self._remove(box, why)

    async def _unfit(self, box: WarmBox, now: datetime, running: set[str]) -> str:
        """Why the box should go; empty if it should not."""
        if box.state == "going":
            return "it was given up before"
        if box.state == "making":
            return "its worker was lost" if now - box.since >= MAKING else ""
        if now - box.since >= AGE:
            return "it has waited for long"
        if box.box not in running:
            return "it does not run any more"
        repository = self._active.get(box.repository)
        if repository is None:
            return "its repository takes no work"
        return "" if await self._maker.basis(repository) == box.basis else "it would be made otherwise today"

    async def _fill(self, lock: str) -> None:
        if short := await shortage(self.parts.environment, self.parts.limits):
            log.warning("no box warmed", reason=short)
            return
        place = await self.parts.environment.place()
        demand = await self.parts.boxes.demand(place, SPAN)
        hinted = await self.parts.hints.live()
        target = wanted([*self._active.values()], demand, hinted, self._most)
        for slug in target:
            while await self._lacks(slug, target):
                if not await self._locks.keep(lock, self._holder, LEASE):
                    return
                if not await self._make(self._active[slug]):
                    break

    async def _lacks(self, slug: str, target: Mapping[str, int]) -> bool:
        """Whether a box of that repository is to be made; where there is no room for it, room was made."""
        if slug in _live(self._failed):
            return False
        boxes = await self.parts.boxes.on(await self.parts.environment.place())
        have = Counter(box.repository for box in boxes)
        if have[slug] >= target[slug]:
            return False
        if len(boxes) >= self._most:
            surplus = [box for box in boxes if have[box.repository] > target.get(box.repository, 0)]
            await self._remove(surplus[0], "another repository's is wanted more")
        return True

    async def _make(self, repository: Repository) -> bool:
        try:
            return await self._maker.make(repository)
        except NOT_MADE as error:
            self._failed[repository.slug] = time.monotonic() + RETRY_SECONDS
            log.warning("no box warmed", repository=repository.slug, reason=str(error))
            return False

    async def _remove(self, box: WarmBox, why: str) -> None:
        if await self._maker.remove(box.box):
            log.info("waiting box removed", repository=box.repository, box=box.box, reason=why)

    @property
    def _active(self) -> Mapping[str, Repository]:
        return {repository.slug: repository for repository in self._catalogue.active}


def _live(until: dict[str, float]) -> Sequence[str]:
    """Those whose time has not come; the others are dropped."""
    now = time.monotonic()
    for slug in [slug for slug, end in until.items() if end <= now]:
        del until[slug]
    return list(until)
