"""Snapshots of boxes: taken after each turn beside all else, used when a box is gone, dropped in time."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog

from sandbox.environments.protocol import (
    Environment,
    EnvironmentUnavailable,
    ImageMissing,
    SandboxFailed,
)
from sandbox.environments.registry import Registry, RegistryAway, RegistryRefused
from sandbox.runner import VERSION
from sandbox.session_boxes import box_name
from session.database import DatabaseDown
from session.log import Log, NoSuchSession
from session.snapshots import Snapshot, Snapshots
from session.view import SessionView

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Keeping:
    """How long snapshots are kept without a newer one, and how many on one host; and after how many seconds
    one that is still not on record is nobody's."""

    age: timedelta = timedelta(days=7)
    most: int = 50
    moment_seconds: float = 2.0


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
        self._taking = False
        self.taken = asyncio.Event()
        """Set by each new snapshot: there is something to share."""

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

        One of another host has the reference that it will have here: `instead` fetches it, when a box is
        made of it. Raises: EnvironmentUnavailable, DatabaseDown.
        """
        if not self._environment.forgetful:
            return None
        place = await self._environment.place()
        fitting: Snapshot | None = None
        for snapshot in await self._snapshots.of(session_id):
            fits = snapshot.runner == VERSION and snapshot.repository == repository
            if fits:
                fitting = fitting or self._as_here(snapshot, place)
            elif snapshot.place == place:
                await self.drop(snapshot)
        return fitting

    async def instead(self, missing: Snapshot) -> Snapshot | None:
        """What to use where that one is not in the engine: itself, once it is fetched, else an older one, or
        nothing. Raises: EnvironmentUnavailable, DatabaseDown."""
        # On record before it is here, so that the sweep does not take it for nobody's.
        await self._snapshots.add(missing)
        if await self._is_fetched(missing):
            return missing
        await self.drop(missing)
        own = await self._snapshots.of(missing.session_id, missing.place)
        fitting = [s for s in own if (s.runner, s.repository) == (VERSION, missing.repository)]
        return next((s for s in fitting if s.reference != missing.reference), None)

    async def drop(self, snapshot: Snapshot) -> None:
        """It is gone, from the host and from the record, and with its last copy from the registry."""
        others = [
            other
            for other in await self._snapshots.of(snapshot.session_id)
            if other.shared == snapshot.shared and other.reference != snapshot.reference
        ]
        try:
            await self._environment.remove_snapshot(snapshot.reference)
            if snapshot.shared and not others:
                await self._withdraw(snapshot.shared)
        except (SandboxFailed, RegistryAway, RegistryRefused) as error:
            # Its row stays, so the next sweep tries again.
            log.warning("snapshot not removed", reference=snapshot.reference, error=str(error))
            return
        await self._snapshots.drop(snapshot.reference)

    async def share(self) -> int:
        """How many snapshots of this host came to the registry, the newest of each session.

        Raises: RegistryAway, RegistryRefused, EnvironmentUnavailable, DatabaseDown.
        """
        registry = self._environment.registry
        if registry is None:
            return 0
        seen: set[str] = set()
        pushed = 0
        for snapshot in await self._snapshots.on(await self._environment.place()):
            if snapshot.session_id in seen:
                continue
            seen.add(snapshot.session_id)
            if not snapshot.shared:
                pushed += await self._push(registry, snapshot)
        return pushed

    async def sweep(self, now: datetime) -> int:
        """How many snapshots were dropped: too old, too many, of a session that is over, or not on record.

        Raises: EnvironmentUnavailable, DatabaseDown.
        """
        if not self._environment.forgetful:
            return 0
        here = await self._environment.snapshots()
        kept = dropped = 0
        place = await self._environment.place()
        known = await self._snapshots.on(place)
        for snapshot in known:
            young = now - snapshot.taken_at < self._keeping.age
            if young and kept < self._keeping.most and await self._is_wanted(snapshot):
                kept += 1
            else:
                await self.drop(snapshot)
                dropped += 1
        strays = set(here) - {snapshot.reference for snapshot in known}
        dropped += await self._sweep_strays(strays, place)
        return dropped + await self._sweep_registry(place, now)

    async def oldest_first(self) -> Sequence[Snapshot]:
        """All of this host. Raises: EnvironmentUnavailable, SandboxFailed, DatabaseDown."""
        if not self._environment.forgetful:
            return []
        return [*reversed(await self._snapshots.on(await self._environment.place()))]

    async def _push(self, registry: Registry, snapshot: Snapshot) -> bool:
        try:
            shared = await registry.push(snapshot.reference)
        except ImageMissing:
            # Somebody cleared the engine.
            await self.drop(snapshot)
            return False
        await self._snapshots.share(snapshot.reference, shared)
        await self._retire_older(replace(snapshot, shared=shared))
        return True

    async def _is_wanted(self, snapshot: Snapshot) -> bool:
        view = await self._view(snapshot.session_id)
        if view is None or view.archived:
            return False
        return not any(_overtakes(other, snapshot) for other in await self._snapshots.of(snapshot.session_id))

    async def _sweep_strays(self, strays: set[str], place: str) -> int:
        """How many are gone of those not on record: their worker died between taking and writing it down.

        One that was just taken, here or by another worker of this host, is on record in a moment.
        """
        if not strays or self._taking:
            return 0
        await asyncio.sleep(self._keeping.moment_seconds)
        lost = strays - {snapshot.reference for snapshot in await self._snapshots.on(place)}
        for reference in lost:
            await self._environment.remove_snapshot(reference)
        return len(lost)

    async def _sweep_registry(self, place: str, now: datetime) -> int:
        """How many are gone of those that other hosts have shared, and perhaps do not look after any more."""
        if self._environment.registry is None:
            return 0
        found = await self._snapshots.shared()
        old = [s for s in found if s.place != place and now - s.taken_at >= self._keeping.age]
        for shared in {snapshot.shared for snapshot in old}:
            await self._withdraw_quietly(shared)
        return len(old)

    def _as_here(self, snapshot: Snapshot, place: str) -> Snapshot | None:
        """The snapshot as this host has it, or will; None when it cannot be had."""
        registry = self._environment.registry
        if snapshot.place == place:
            return snapshot
        if registry is None or not snapshot.shared:
            return None
        reference = registry.snapshot(box_name(snapshot.session_id), _tag(snapshot.turns, place))
        return replace(snapshot, place=place, reference=reference)

    async def _is_fetched(self, snapshot: Snapshot) -> bool:
        """Whether the snapshot came here from the registry. If not, the checkpoint has the work."""
        registry = self._environment.registry
        if registry is None or not snapshot.shared:
            return False
        try:
            await registry.pull(snapshot.shared, snapshot.reference)
        except (RegistryAway, RegistryRefused) as error:
            log.warning("snapshot not fetched", session_id=snapshot.session_id, error=str(error))
            return False
        return True

    async def _retire_older(self, newer: Snapshot) -> None:
        """What the newer one makes needless is gone; of other hosts only what is in the registry."""
        old = [s for s in await self._snapshots.of(newer.session_id) if _overtakes(newer, s)]
        for shared in {snapshot.shared for snapshot in old if snapshot.shared}:
            await self._withdraw_quietly(shared)
        for snapshot in await self._snapshots.of(newer.session_id, newer.place):
            if _overtakes(newer, snapshot):
                await self.drop(snapshot)

    async def _withdraw_quietly(self, shared: str) -> None:
        try:
            await self._withdraw(shared)
        except (RegistryAway, RegistryRefused) as error:
            log.warning("snapshot not removed from the registry", shared=shared, error=str(error))

    async def _withdraw(self, shared: str) -> None:
        if self._environment.registry is not None:
            await self._environment.registry.remove(shared)
            await self._snapshots.unshare(shared)

    async def _take_quietly(self, finished: Finished) -> None:
        self._taking = True
        try:
            await self._take(finished)
        except (EnvironmentUnavailable, SandboxFailed, DatabaseDown) as error:
            # The checkpoint has the work: what is lost is the way back that takes less time.
            log.warning("no snapshot", session_id=finished.session_id, error=str(error))
        finally:
            self._taking = False

    async def _take(self, finished: Finished) -> None:
        if await self._moved_on(finished):
            return
        place = await self._environment.place()
        reference = await self._environment.snapshot(finished.box, _tag(finished.turns, place))
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
        replaced = [s for s in await self._snapshots.of(finished.session_id) if s.reference == reference]
        await self._snapshots.add(snapshot)
        for former in replaced:
            if former.shared:
                await self._withdraw_quietly(former.shared)
        await self._retire_older(snapshot)
        self.taken.set()

    async def _moved_on(self, finished: Finished) -> bool:
        view = await self._view(finished.session_id)
        return view is None or view.turn_open or view.turns != finished.turns

    async def _view(self, session_id: str) -> SessionView | None:
        try:
            return await self._log.view(session_id)
        except NoSuchSession:
            return None


def _tag(turns: int, place: str) -> str:
    """What tells a session's snapshots from each other, also where two hosts call their boxes the same."""
    return f"t{turns}.{hashlib.sha256(place.encode()).hexdigest()[:8]}"


def _overtakes(newer: Snapshot, older: Snapshot) -> bool:
    """Whether the older one is of no use any more: where it can be had, the newer one can be had too."""
    if newer.turns <= older.turns:
        return False
    return bool(newer.shared) or (newer.place == older.place and not older.shared)
