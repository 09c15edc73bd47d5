"""What people see of repository images, and what they may ask for: the builds on record, and a build now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from session.image_builds import ImageBuild, ImageBuilds
from session.queue import Queue
from session.refusals import NotNow

QUEUE_AWAY = "The job queue does not answer, so no worker can be rung for. Try again in a minute."


@dataclass(frozen=True, slots=True)
class ImageState:
    """A repository's images: the newest build, and the newest image that sessions can start from."""

    newest: ImageBuild | None = None
    ready: ImageBuild | None = None


class ImageRequests:
    """For surfaces, which build nothing themselves. Every method raises DatabaseDown."""

    def __init__(self, builds: ImageBuilds, queue: Queue) -> None:
        self.builds = builds
        self._queue = queue

    async def states(self) -> Mapping[str, ImageState]:
        """The state of each repository that has builds, by its slug in small letters."""
        found: dict[str, ImageState] = {}
        for build in await self.builds.all():
            known = found.get(build.made.repository, ImageState())
            ready = known.ready or (build if build.state == "ready" else None)
            found[build.made.repository] = ImageState(known.newest or build, ready)
        return found

    async def build_now(self, slug: str) -> None:
        """A worker is rung for to build the repository's image anew. Raises: NotNow."""
        number = len(await self.builds.of(slug)) + 1
        if await self._queue.enqueue("build_image", slug, number) == "unreachable":
            raise NotNow(QUEUE_AWAY)
