"""What a new box of a repository starts from: the newest image that fits its base commit, or nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sandbox.base_commit import BaseCommit
from sandbox.environments.images import IMAGE_LABEL
from sandbox.environments.protocol import Environment
from sandbox.images.devcontainer import BadDevcontainer
from sandbox.images.recipe import read_recipe
from session.catalogue import Repository
from session.image_builds import ImageBuild, ImageBuilds


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

    def chosen(self, repository: Repository) -> str | None:
        """The company's own image, where the box has what that says of package indexes.

        What an image of the repository's own says of them, the repository could have said.
        """
        return (repository.image or None) if self.image else None


class ReadyImages:
    """The images of this host. Nothing is built here."""

    def __init__(self, environment: Environment, builds: ImageBuilds) -> None:
        self._environment = environment
        self._builds = builds

    async def start(self, base: BaseCommit) -> Start:
        """Where a new box for that base commit starts. Raises: EnvironmentUnavailable, DatabaseDown."""
        try:
            recipe = await read_recipe(base)
        except BadDevcontainer as error:
            return Start(note=f"This sandbox starts without an image of its repository: {error}")
        place = await self._environment.place()
        builds = await self._builds.of(base.repository.slug, place)
        fitting = [build for build in builds if build.state == "ready" and build.made.recipe == recipe.digest]
        if fitting:
            there = {image.reference for image in await self._environment.images()}
            fitting = [build for build in fitting if build.reference in there]
        note = _note(builds, fitting)
        if not fitting:
            return Start(variables=recipe.variables, note=note)
        newest = fitting[0]
        return Start(newest.reference, newest.made.sha, recipe.again, recipe.variables, note)


async def at_first(base: BaseCommit) -> tuple[str, ...]:
    """The set-up of a box that has nothing but the repository."""
    try:
        return (await read_recipe(base)).at_first
    except BadDevcontainer:
        # The thread was told when the box was made.
        return base.setup


def _note(builds: Sequence[ImageBuild], fitting: Sequence[ImageBuild]) -> str:
    """That the newest image could not be built, and what is used instead."""
    newest = next((build for build in builds if build.state != "building"), None)
    if newest is None or newest.state != "failed" or newest.passing:
        return ""
    if fitting:
        made = f"{fitting[0].started_at:%d %B %H:%M} UTC, of commit {fitting[0].made.sha[:12]}"
        instead = f"This sandbox starts from the one of {made}."
    else:
        instead = "This sandbox is set up from the beginning."
    return f"The newest image of {newest.made.repository} could not be built: {newest.cause}\n{instead}"
