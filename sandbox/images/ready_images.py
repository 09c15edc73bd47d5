"""What a new box of a repository starts from: the newest image that fits its base commit, or nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import structlog

from sandbox.base_commit import BaseCommit
from sandbox.doors import placeholders
from sandbox.environments.images import IMAGE_LABEL, ImageTag
from sandbox.environments.protocol import Environment, SandboxSpec
from sandbox.environments.registry import RegistryAway, RegistryRefused
from sandbox.images.devcontainer import BadDevcontainer
from sandbox.images.recipe import read_recipe
from session.catalogue import Repository
from session.image_builds import ImageBuild, ImageBuilds

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Start:
    """How a new box begins. `image` is its reference, None where it begins with the backend's base and
    nothing in it; `sha` the commit that the image has; `again` the set-up for a box of that image at another
    commit. `variables` are the repository's own. `note` is what people should know, empty if nothing.
    """

    image: str | None = None
    sha: str = ""
    again: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    note: str = ""

    @property
    def labels(self) -> Mapping[str, str]:
        """What a box that starts so is labelled with, so that its image is kept."""
        return {IMAGE_LABEL: self.image} if self.image else {}

    def spec(self, session_id: str, name: str, base: BaseCommit, inbound: Path) -> SandboxSpec:
        """A box that begins so, its way out left open: the session's, one that waits for it, and one in which
        its work is checked are made alike."""
        return SandboxSpec(
            session_id,
            name,
            self.image,
            inbound,
            env={**self.variables, **placeholders(base.repository)},
            labels=self.labels,
            hosts=base.services.names,
        )

    def chosen(self, repository: Repository) -> str | None:
        """The company's own image, where the box has what that says of package indexes.

        What an image of the repository's own says of them, the repository could have said.
        """
        return (repository.image or None) if self.image else None


class ReadyImages:
    """The images of this host, and those that others share with it. Nothing is built here."""

    def __init__(self, environment: Environment, builds: ImageBuilds) -> None:
        self._environment = environment
        self._builds = builds

    async def start(self, base: BaseCommit) -> Start:
        """Where a new box for that base commit starts; a newer image of another host is fetched for it.

        Raises: EnvironmentUnavailable, DatabaseDown.
        """
        try:
            recipe = await read_recipe(base)
        except BadDevcontainer as error:
            return Start(note=f"This sandbox starts without an image of its repository: {error}")
        place = await self._environment.place()
        shares = self._environment.registry is not None
        builds = await self._builds.of(base.repository.slug, None if shares else place)
        fitting = [build for build in builds if build.state == "ready" and build.made.recipe == recipe.digest]
        newest = await self._first_at_hand(fitting, place)
        note = _note(builds, newest)
        if newest is None:
            return Start(variables=recipe.variables, note=note)
        return Start(newest.reference, newest.made.sha, recipe.again, recipe.variables, note)

    async def _first_at_hand(self, fitting: Sequence[ImageBuild], place: str) -> ImageBuild | None:
        """The newest whose image this host has, or can fetch."""
        if not fitting:
            return None
        there = {image.reference for image in await self._environment.images()}
        own = [build for build in fitting if build.made.place == place and build.reference in there]
        for build in fitting:
            if build in own:
                return build
            if copy := next((one for one in own if build.shared and one.shared == build.shared), None):
                return copy
            if build.made.place != place and (fetched := await self._fetched(build, place)):
                return fetched
        return None

    async def _fetched(self, build: ImageBuild, place: str) -> ImageBuild | None:
        """The other host's image, now here too; None when it cannot be had."""
        registry = self._environment.registry
        if registry is None or not build.shared:
            return None
        reference = registry.image(ImageTag(build.made.repository, build.reference.rpartition(":")[2]))
        # On record before it is here, so that the reaper does not take it for nobody's.
        await self._builds.copied(build, place, reference)
        try:
            await registry.pull(build.shared, reference)
        except (RegistryAway, RegistryRefused) as error:
            log.warning("image not fetched", repository=build.made.repository, error=str(error))
            return None
        return replace(build, reference=reference)


async def at_first(base: BaseCommit) -> tuple[str, ...]:
    """The set-up of a box that has nothing but the repository."""
    try:
        return (await read_recipe(base)).at_first
    except BadDevcontainer:
        # The thread was told when the box was made.
        return base.setup


def _note(builds: Sequence[ImageBuild], used: ImageBuild | None) -> str:
    """That the newest image could not be built, and what is used instead."""
    newest = next((build for build in builds if build.state != "building"), None)
    if newest is None or newest.state != "failed" or newest.passing:
        return ""
    if used is not None:
        made = f"{used.started_at:%d %B %H:%M} UTC, of commit {used.made.sha[:12]}"
        instead = f"This sandbox starts from the one of {made}."
    else:
        instead = "This sandbox is set up from the beginning."
    return f"The newest image of {newest.made.repository} could not be built: {newest.cause}\n{instead}"
