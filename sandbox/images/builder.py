"""Builds of repository images on this host: one at a time for each repository, whoever asks."""

from __future__ import annotations

from collections.abc import Callable
from uuid import uuid4

import structlog

from sandbox.images.build_log import BuildLog
from sandbox.images.running_build import BuilderParts, RunningBuild
from session.image_builds import BuildLost, ImageBuild, lock_name

log = structlog.get_logger()


class ImageBuilder:
    """Builds the images of this host."""

    def __init__(self, parts: BuilderParts) -> None:
        self._parts = parts

    async def look(self, slug: str) -> ImageBuild | None:
        """The build, if there had to be one: the branch, the recipe or the base has changed.

        Raises: UnknownRepository, DatabaseDown.
        """
        return await self._alone(slug, only_if_due=True, wait=True)

    async def build(
        self, slug: str, listen: Callable[[str], None] | None = None, *, wait: bool = False
    ) -> ImageBuild | None:
        """A build from the base, whether anything changed or not; None while another worker builds it.

        `listen` is told what the build says. wait: for another worker that only looks.
        Raises: UnknownRepository, DatabaseDown.
        """
        return await self._alone(slug, only_if_due=False, wait=wait, listen=listen)

    async def _alone(
        self,
        slug: str,
        *,
        only_if_due: bool,
        wait: bool,
        listen: Callable[[str], None] | None = None,
    ) -> ImageBuild | None:
        parts, repository = self._parts, self._parts.catalogue.get(slug)
        if await parts.switch.halted():
            return None
        lock, holder = lock_name(repository.slug), uuid4().hex
        take = parts.locks.outlast if wait else parts.locks.take
        if not await take(lock, holder, parts.lease):
            return None
        running = RunningBuild(parts, repository, lock, holder, BuildLog(listen))
        try:
            return await running.go(only_if_due)
        except BuildLost as error:
            log.warning("image build left to another", repository=slug, reason=str(error))
            return None
        finally:
            await parts.locks.drop(lock, holder)
