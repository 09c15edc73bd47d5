"""One build of a repository's image, from the fetch to the end: under the repository's lock, and on record
while it runs. A build whose worker died is found by whoever has the lock next."""

from __future__ import annotations

import asyncio
import shutil
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import structlog

from sandbox.base_commit import BadBase
from sandbox.box_git import BoxGit
from sandbox.broker.client import BrokerFailed, BrokerForge, BrokerUnavailable
from sandbox.broker.door.doors import BUILD_PREFIX
from sandbox.broker.git import GitFailed
from sandbox.bundles import Bundles
from sandbox.disk_room import DiskLimits, require_room
from sandbox.doors import WorkerDoors, placeholders
from sandbox.environments.images import (
    FINGERPRINT_LABEL,
    LAYERS_LABEL,
    REPOSITORY_LABEL,
    SHA_LABEL,
    ImageTag,
    ImageUnavailable,
    KeptImage,
)
from sandbox.environments.protocol import (
    PURPOSE_LABEL,
    Environment,
    EnvironmentUnavailable,
    SandboxFailed,
    SandboxSpec,
)
from sandbox.environments.runner_client import RunnerError
from sandbox.forge.protocol import ForgeError, ForgeUnavailable
from sandbox.images.build_log import BuildLog
from sandbox.images.building import SetUpFailed, lay_out_commit, make_ready
from sandbox.images.devcontainer import BadDevcontainer
from sandbox.images.plan import NotAllowed, Plan, due, make_plan, start_from
from sandbox.services import open_services
from session.catalogue import Catalogue, Repository
from session.database import DatabaseDown
from session.halt import KillSwitch
from session.image_builds import BuildLost, ImageBuild, ImageBuilds, Made
from session.locks import Locks

log = structlog.get_logger()

BUILD = "build"
BUILD_LABEL = "bellhop.build"
BUILD_SECONDS = 3600.0
TELL_SECONDS = 1.0
WORKER_LOST = "The worker that built it was lost."
STOPPED = "The worker that built it was told to stop."
PASSING = (ForgeUnavailable, EnvironmentUnavailable, BrokerFailed, RunnerError, GitFailed)
LASTING = (
    SetUpFailed,
    BadBase,
    BadDevcontainer,
    NotAllowed,
    ImageUnavailable,
    SandboxFailed,
    ForgeError,
)
"""What goes wrong with a sentence: the first may pass by itself, the second until something changes."""


@dataclass(frozen=True, slots=True)
class BuilderParts:
    """What builds are made with. `inbound` is where boxes' inbound directories are; `lease`: after so long
    without a sign of life a build counts as left behind; `limits`: how much of the disks may be taken."""

    environment: Environment
    forge: BrokerForge
    doors: WorkerDoors
    bundles: Bundles
    builds: ImageBuilds
    locks: Locks
    switch: KillSwitch
    catalogue: Catalogue
    inbound: Path
    lease: timedelta
    limits: DiskLimits


class RunningBuild:
    """One hold of a repository's lock."""

    def __init__(
        self, parts: BuilderParts, repository: Repository, lock: str, holder: str, said: BuildLog
    ) -> None:
        self._parts = parts
        self._repository = repository
        self._lock = lock
        self._holder = holder
        self._said = said
        self._build_id: str | None = None

    async def go(self, only_if_due: bool) -> ImageBuild | None:
        """Raises: BuildLost, DatabaseDown."""
        work = asyncio.create_task(self._go(only_if_due), name=f"image of {self._repository.slug}")
        beat = asyncio.create_task(self._beat(), name=f"heartbeat of the image of {self._repository.slug}")
        try:
            await asyncio.wait({work, beat}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (work, beat):
                task.cancel()
            await asyncio.wait({work, beat})
        if not beat.cancelled():
            beat.result()
        return work.result()

    async def _beat(self) -> None:
        """Holds on to the lock and tells what was said. Raises: BuildLost, DatabaseDown."""
        told = ""
        while True:
            await asyncio.sleep(min(TELL_SECONDS, self._parts.lease.total_seconds() / 4))
            if not await self._parts.locks.keep(self._lock, self._holder, self._parts.lease):
                raise BuildLost("its lock ran out")
            if self._build_id is not None and told != (now := self._said.text):
                await self._tell(self._build_id, now)
                told = now

    async def _tell(self, build_id: str, said: str) -> None:
        try:
            await self._parts.builds.tell(build_id, said)
        except BuildLost:
            if self._build_id is not None:
                raise
            # It has come to its end meanwhile, and its last words are on record.

    async def _go(self, only_if_due: bool) -> ImageBuild | None:
        place = await self._parts.environment.place()
        await self._bury(place)
        made = Made(self._repository.slug, place)
        try:
            if not only_if_due:
                # Whoever looks at all repositories has asked already, and leaves them for later.
                await require_room(self._parts.environment, self._parts.limits)
            mirror = await self._parts.forge.fetch(self._repository.slug)
            plan = await make_plan(self._parts.environment, self._repository, mirror)
            made = plan.made
            shares = self._parts.environment.registry is not None
            builds = await self._parts.builds.of(self._repository.slug, None if shares else place)
            there = [image.reference for image in await self._parts.environment.images()]
        except (*PASSING, *LASTING) as error:
            return await self._failed_early(made, error, only_if_due)
        now = await self._parts.builds.clock()
        if only_if_due and not due(made, builds, there, now):
            return None
        former = start_from(made, builds, there, now) if only_if_due else None
        self._build_id = await self._parts.builds.begin(made)
        return await self._ended(self._build_id, plan, former)

    async def _ended(self, build_id: str, plan: Plan, former: ImageBuild | None) -> ImageBuild | None:
        """The build, ready or failed with its reason on record. Raises: BuildLost, DatabaseDown."""
        try:
            async with asyncio.timeout(BUILD_SECONDS):
                kept = await self._make(build_id, plan, former)
        except asyncio.CancelledError:
            with suppress(BuildLost):
                await self._fail(build_id, STOPPED, passing=True)
            raise
        except TimeoutError:
            minutes = BUILD_SECONDS / 60
            await self._fail(build_id, f"It was not done after {minutes:g} minutes, which is the limit.")
        except PASSING as error:
            await self._fail(build_id, str(error), passing=True)
        except LASTING as error:
            await self._fail(build_id, str(error))
        except (BuildLost, DatabaseDown):
            raise
        except Exception as error:  # the edge of a build: it becomes a failure people see
            log.exception("image build failed", repository=self._repository.slug, build=build_id)
            await self._fail(build_id, f"Something went wrong inside Bellhop ({type(error).__name__}).")
        else:
            layers = former.layers + 1 if former else 1
            await self._last_words(build_id)
            whole_at = former.whole_at if former else None
            await self._parts.builds.ready(build_id, kept.reference, layers, kept.size_bytes, whole_at)
            log.info("image ready", repository=self._repository.slug, reference=kept.reference)
        return await self._parts.builds.find(build_id)

    async def _make(self, build_id: str, plan: Plan, former: ImageBuild | None) -> KeptImage:
        parts, name = self._parts, f"{BUILD_PREFIX}{build_id}"
        inbound = parts.inbound / name
        self._introduce(plan, former)
        try:
            door = await parts.doors.open_for_build(name, self._repository)
            spec = SandboxSpec(
                session_id="",
                name=name,
                image=former.reference if former else plan.image.reference,
                inbound=inbound,
                env={**plan.recipe.variables, **placeholders(self._repository)},
                labels={
                    PURPOSE_LABEL: BUILD,
                    BUILD_LABEL: build_id,
                    REPOSITORY_LABEL: self._repository.slug,
                },
                door=door.directory,
                machine_packages=plan.by_strangers,
                hosts=plan.base.services.names,
            )
            has_news = await self._place(plan, former, inbound)
            async with await parts.environment.open(spec) as box:
                git = BoxGit(box.runner, box.inbound_path)
                await lay_out_commit(git, plan, whole=former is None, has_news=has_news)
                services = await open_services(parts.environment, box, plan.base.services)
                for problem in services.problems:
                    self._said.line(problem)
                await make_ready(git, plan, self._said, whole=former is None)
                self._said.line("Everything is in place; the box is kept as the image.")
                return await box.keep(ImageTag(self._repository.slug, plan.tag), _labels(plan, former))
        finally:
            await self._clear(name, inbound)

    async def _place(self, plan: Plan, former: ImageBuild | None, inbound: Path) -> bool:
        """Whether a bundle lies ready; there is none where the former image has all commits."""
        if former is not None:
            return await self._parts.bundles.place_since(plan.base, former.made.sha, inbound)
        await self._parts.bundles.place_base(plan.base, inbound)
        return True

    def _introduce(self, plan: Plan, former: ImageBuild | None) -> None:
        said, base = self._said, plan.base
        said.line(f"{self._repository.slug} at {base.sha[:12]} of {base.branch}")
        if former is not None:
            said.line(f"On top of the image of {former.made.sha[:12]}, which is made of the same.")
        else:
            said.line(f"From the base {plan.image.reference or 'of this machine'}.")
        if plan.image.note:
            said.line(plan.image.note)
        for name in plan.recipe.devcontainer.unused:
            said.line(f"`{name}` of {plan.recipe.devcontainer.file} is not followed.")

    async def _clear(self, name: str, inbound: Path) -> None:
        try:
            await self._parts.environment.remove(name)
            await self._parts.doors.close(name)
        except (EnvironmentUnavailable, SandboxFailed, BrokerUnavailable, BrokerFailed) as error:
            # The reaper comes back to it.
            log.warning("build box not removed", box=name, error=str(error))
        await asyncio.to_thread(shutil.rmtree, inbound, ignore_errors=True)

    async def _bury(self, place: str) -> None:
        """Builds that say that they run, although the lock is here: their workers are gone."""
        for build in await self._parts.builds.of(self._repository.slug):
            if build.state == "building":
                with suppress(BuildLost):  # the reaper has seen it too
                    await self._parts.builds.fail(build.id, WORKER_LOST, passing=True)
                if build.made.place == place:
                    name = f"{BUILD_PREFIX}{build.id}"
                    await self._clear(name, self._parts.inbound / name)

    async def _failed_early(self, made: Made, error: Exception, quietly: bool) -> ImageBuild | None:
        """A build that could not begin, on record once for as long as its reason stays the same."""
        passing = isinstance(error, PASSING)
        builds = await self._parts.builds.of(self._repository.slug, made.place)
        if quietly and builds and (builds[0].state, builds[0].cause) == ("failed", str(error)):
            return None
        build_id = await self._parts.builds.begin(made)
        await self._fail(build_id, str(error), passing=passing)
        return await self._parts.builds.find(build_id)

    async def _last_words(self, build_id: str) -> None:
        # From here on there is nothing for the heartbeat to tell.
        self._build_id = None
        await self._parts.builds.tell(build_id, self._said.text)

    async def _fail(self, build_id: str, cause: str, *, passing: bool = False) -> None:
        self._said.line(cause)
        await self._last_words(build_id)
        await self._parts.builds.fail(build_id, cause, passing=passing)
        log.warning("image not built", repository=self._repository.slug, build=build_id, cause=cause)


def _labels(plan: Plan, former: ImageBuild | None) -> dict[str, str]:
    return {
        REPOSITORY_LABEL: plan.made.repository,
        SHA_LABEL: plan.made.sha,
        FINGERPRINT_LABEL: plan.made.fingerprint,
        LAYERS_LABEL: str(former.layers + 1 if former else 1),
    }
