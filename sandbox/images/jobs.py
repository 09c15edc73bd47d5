"""The jobs of a worker about images: one build that was asked for, and the look at all repositories."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import uuid4

import structlog

from sandbox.disk_watch import DiskWatch
from sandbox.environments.protocol import EnvironmentUnavailable, SandboxFailed
from sandbox.images.builder import ImageBuilder
from session.catalogue import Catalogue, UnknownRepository
from session.database import DatabaseDown
from session.locks import Locks

log = structlog.get_logger()

LOOK = "image:look"


class ImageJobs:
    """What the queue calls. Nothing is raised: a build that fails says so on its own record."""

    def __init__(
        self, builder: ImageBuilder, disk: DiskWatch, catalogue: Catalogue, locks: Locks, lease: timedelta
    ) -> None:
        """lease: after so long without a sign of life a look counts as left behind."""
        self._builder = builder
        self._disk = disk
        self._catalogue = catalogue
        self._locks = locks
        self._lease = lease

    async def build_image(self, slug: str) -> None:
        """The repository's image, built anew from its base because somebody asked."""
        try:
            # What that did not help the build finds out, and says so on its record.
            await self._disk.make_room()
            await self._builder.build(slug, wait=True)
        except (UnknownRepository, DatabaseDown, EnvironmentUnavailable, SandboxFailed) as error:
            log.warning("image not built", repository=slug, reason=str(error))
        except Exception:  # the edge of a job
            log.exception("image not built", repository=slug)

    async def look_at_images(self) -> None:
        """Every repository's image, built where something changed: one after another, so that looking at
        many repositories takes one of a worker's places and no more. None is built while room is short."""
        holder = uuid4().hex
        if not await self._locks.outlast(LOOK, holder, self._lease):
            return
        keeping = asyncio.create_task(self._keep(holder), name="look at images")
        try:
            for repository in self._catalogue.active:
                await self._look(repository.slug)
        finally:
            keeping.cancel()
            await asyncio.wait({keeping})
            await self._locks.drop(LOOK, holder)

    async def _keep(self, holder: str) -> None:
        """Holds on to the lock. Whoever loses it goes on: each repository has a lock of its own."""
        while True:
            await asyncio.sleep(self._lease.total_seconds() / 4)
            try:
                await self._locks.keep(LOOK, holder, self._lease)
            except DatabaseDown as error:
                log.warning("look at images not kept", reason=str(error))

    async def _look(self, slug: str) -> None:
        try:
            if short := await self._disk.shortage():
                log.warning("image not looked at", repository=slug, reason=short)
                return
            await self._builder.look(slug)
        except (DatabaseDown, EnvironmentUnavailable, SandboxFailed) as error:
            log.warning("image not looked at", repository=slug, reason=str(error))
        except Exception:  # the edge of a job: one repository must not hold up the others
            log.exception("image not looked at", repository=slug)
