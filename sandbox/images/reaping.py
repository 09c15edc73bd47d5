"""Images and boxes of builds that nobody needs any more."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Sequence
from pathlib import Path

import structlog

from sandbox.doors import WorkerDoors
from sandbox.environments.images import IMAGE_LABEL, REPOSITORY_LABEL
from sandbox.environments.protocol import BoxInfo, Environment, SandboxFailed
from sandbox.environments.registry import RegistryAway, RegistryRefused
from sandbox.images.running_build import BUILD_LABEL, WORKER_LOST
from session.catalogue import Catalogue
from session.image_builds import BuildLost, ImageBuild, ImageBuilds, lock_name
from session.locks import Locks

log = structlog.get_logger()

KEPT_READY = 2
KEPT_FAILED = 5


class ImageReaper:
    """Keeps the newest images of each repository of the catalogue and those that boxes were made from.

    `inbound` is where boxes' inbound directories are.
    """

    def __init__(
        self,
        environment: Environment,
        builds: ImageBuilds,
        locks: Locks,
        catalogue: Catalogue,
        doors: WorkerDoors,
        inbound: Path,
    ) -> None:
        self._environment = environment
        self._builds = builds
        self._locks = locks
        self._active = {repository.slug.lower() for repository in catalogue.active}
        self._doors = doors
        self._inbound = inbound

    async def sweep(self, kept: int = KEPT_READY) -> int:
        """How many images are gone; of each repository the newest `kept` stay.

        Raises: EnvironmentUnavailable, SandboxFailed, DatabaseDown.
        """
        place = await self._environment.place()
        boxes = await self._environment.list()
        used = {box.labels.get(IMAGE_LABEL, "") for box in boxes}
        by_repository: dict[str, list[ImageBuild]] = {}
        for build in await self._builds.all():
            by_repository.setdefault(build.made.repository, []).append(build)
        gone = 0
        for repository, builds in by_repository.items():
            own = [build for build in builds if build.made.place == place]
            gone += await self._repository(repository, own, used, kept)
            await self._sweep_registry(repository, builds, place)
        return gone + await self._unrecorded(place)

    async def look(self, box: BoxInfo) -> bool:
        """Whether a build's box was removed: its build is not under way any more.

        Raises: EnvironmentUnavailable, SandboxFailed, BrokerUnavailable, BrokerFailed, DatabaseDown.
        """
        build = await self._builds.find(box.labels.get(BUILD_LABEL, ""))
        if build is not None and build.state == "building" and await self._is_built(build.made.repository):
            return False
        await self._environment.remove(box.name)
        await self._doors.close(box.name)
        await asyncio.to_thread(shutil.rmtree, self._inbound / box.name, ignore_errors=True)
        log.info("build box removed", box=box.name)
        return True

    async def _repository(
        self, repository: str, builds: Sequence[ImageBuild], used: set[str], most: int
    ) -> int:
        """How many of one repository's images are gone; its builds come newest first."""
        ready = [build for build in builds if build.state == "ready"]
        failed = [build for build in builds if build.state == "failed"]
        kept = most if repository in self._active else 0
        for build in failed[KEPT_FAILED:]:
            await self._builds.forget(build.id)
        if any(build.state == "building" for build in builds) and not await self._is_built(repository):
            await self._end(builds)
        # Two builds of one commit have one image: it goes with the last of them.
        needed = used | {build.reference for build in ready[:kept]}
        gone = 0
        for build in ready[kept:]:
            if build.reference in used or not await self._removed(build, needed):
                continue
            await self._builds.forget(build.id)
            gone += 1
        return gone

    async def _removed(self, build: ImageBuild, needed: set[str]) -> bool:
        try:
            await self._withdraw(build)
            if build.reference in needed:
                return True
            await self._environment.remove_image(build.reference)
        except (SandboxFailed, RegistryAway, RegistryRefused) as error:
            log.info("image kept", reference=build.reference, reason=str(error))
            return False
        log.info("image removed", repository=build.made.repository, reference=build.reference)
        return True

    async def _sweep_registry(self, repository: str, builds: Sequence[ImageBuild], place: str) -> None:
        """The registry keeps the newest too, also where the host that built the others is gone for good."""
        shared = list(dict.fromkeys(build.shared for build in builds if build.shared))
        kept = shared[: KEPT_READY if repository in self._active else 0]
        for build in builds:
            if build.shared and build.shared not in kept and build.made.place != place:
                try:
                    await self._remove_there(build.shared)
                except (RegistryAway, RegistryRefused) as error:
                    log.info("image kept in the registry", shared=build.shared, reason=str(error))

    async def _withdraw(self, build: ImageBuild) -> None:
        """With its last copy the image goes from the registry too. Raises: RegistryAway, RegistryRefused."""
        others = await self._builds.of(build.made.repository)
        if build.shared and not any(o.shared == build.shared and o.id != build.id for o in others):
            await self._remove_there(build.shared)

    async def _remove_there(self, shared: str) -> None:
        if self._environment.registry is not None:
            await self._environment.registry.remove(shared)
            await self._builds.unshare(shared)

    async def _end(self, builds: Sequence[ImageBuild]) -> None:
        for build in builds:
            if build.state == "building":
                try:
                    await self._builds.fail(build.id, WORKER_LOST, passing=True)
                except BuildLost:
                    continue  # it has ended meanwhile

    async def _unrecorded(self, place: str) -> int:
        """How many images are gone that no record tells of: their worker died before it wrote one."""
        images = await self._environment.images()
        known = {build.reference for build in await self._builds.all() if build.made.place == place}
        gone = 0
        for image in images:
            repository = image.labels.get(REPOSITORY_LABEL, "")
            if image.reference in known or await self._is_built(repository):
                continue
            try:
                await self._environment.remove_image(image.reference)
                gone += 1
            except SandboxFailed as error:
                log.info("image kept", reference=image.reference, reason=str(error))
        return gone

    async def _is_built(self, repository: str) -> bool:
        return await self._locks.held(lock_name(repository))
