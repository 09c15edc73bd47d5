"""What this host has and others may need, pushed to the registry: snapshots and images, while nobody waits.

What is to be pushed is read from the record each time, so a push that failed, or whose worker died, is tried
again, and one that is needless by then is not.
"""

from __future__ import annotations

import asyncio

import structlog

from sandbox.environments.protocol import Environment, EnvironmentUnavailable, ImageMissing, SandboxFailed
from sandbox.environments.registry import Registry, RegistryAway, RegistryRefused
from sandbox.snapshots import SnapshotKeeper
from session.database import DatabaseDown
from session.image_builds import ImageBuilds

log = structlog.get_logger()

LOOK_SECONDS = 30.0
"""Between two looks for what is not pushed yet; a new snapshot is pushed at once."""


class Sharing:
    """Pushes what one host has."""

    def __init__(self, environment: Environment, snapshots: SnapshotKeeper, builds: ImageBuilds) -> None:
        self._environment = environment
        self._snapshots = snapshots
        self._builds = builds
        self._failed = False

    async def run(self, every_seconds: float = LOOK_SECONDS) -> None:
        """Push what there is, for ever; returns at once where there is no registry."""
        if self._environment.registry is None:
            return
        while True:
            self._snapshots.taken.clear()
            await self._share_quietly()
            try:
                async with asyncio.timeout(every_seconds):
                    await self._snapshots.taken.wait()
            except TimeoutError:
                continue

    async def share(self) -> int:
        """How many snapshots and images were pushed.

        Raises: RegistryAway, RegistryRefused, EnvironmentUnavailable, DatabaseDown.
        """
        registry = self._environment.registry
        if registry is None:
            return 0
        return await self._snapshots.share() + await self._share_images(registry)

    async def _share_images(self, registry: Registry) -> int:
        place = await self._environment.place()
        seen: set[str] = set()
        pushed = 0
        for build in await self._builds.all():
            if build.made.place != place or build.state != "ready" or build.made.repository in seen:
                continue
            seen.add(build.made.repository)
            if not build.shared:
                try:
                    shared = await registry.push(build.reference)
                except ImageMissing as error:
                    log.info("image not shared", repository=build.made.repository, reason=str(error))
                    continue
                await self._builds.share(build.id, shared)
                pushed += 1
        return pushed

    async def _share_quietly(self) -> None:
        try:
            pushed = await self.share()
        except (RegistryAway, RegistryRefused, EnvironmentUnavailable, SandboxFailed, DatabaseDown) as error:
            # The checkpoints have the work: other hosts set boxes up from the beginning meanwhile.
            if not self._failed:
                log.warning("nothing is shared until the registry takes it", error=str(error))
            self._failed = True
            return
        if self._failed:
            log.info("sharing again", pushed=pushed)
        self._failed = False
