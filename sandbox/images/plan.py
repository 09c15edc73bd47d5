"""What an image of a repository is to be made of now, and whether it has to be made at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from sandbox.base_commit import BaseCommit, read_base
from sandbox.environments.images import BaseImage, DockerfileBuild, WantedBase
from sandbox.environments.protocol import Environment
from sandbox.forge.protocol import Mirror
from sandbox.images.context import DOCKERFILE_NAME, write_context
from sandbox.images.recipe import Recipe, read_recipe
from session.catalogue import Repository
from session.image_builds import ImageBuild, Made

MOST_LAYERS = 40
WHOLE_EVERY = timedelta(days=1)
RETRY_AFTER = timedelta(hours=6)
"""So long a build that failed for its own reasons is left alone while nothing changes."""

SHARED_WITHIN = timedelta(minutes=15)
"""So long the others wait for a new image of one host to come to the registry."""


class NotAllowed(Exception):
    """The company's catalogue does not let this image be made; the message says what would."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One image to be made: of `base`, as `recipe` says, on top of `image`."""

    base: BaseCommit
    recipe: Recipe
    image: BaseImage
    made: Made

    @property
    def tag(self) -> str:
        """What tells this image from the repository's others."""
        return f"{self.made.sha[:12]}-{self.made.fingerprint}"

    @property
    def by_strangers(self) -> bool:
        """Whether the base was chosen by the repository rather than by the company."""
        own = self.recipe.devcontainer.image or self.recipe.dockerfile
        return bool(own) and not self.base.repository.image


async def make_plan(environment: Environment, repository: Repository, mirror: Mirror) -> Plan:
    """The plan for the head of the default branch; its base image is there.

    Raises: BadBase, BadDevcontainer, NotAllowed, ImageUnavailable, EnvironmentUnavailable.
    """
    base = await read_base(repository, mirror, repository.default_branch)
    recipe = await read_recipe(base)
    image = await environment.base(_wanted(base, recipe))
    made = Made(
        repository=repository.slug,
        place=await environment.place(),
        sha=base.sha,
        fingerprint=recipe.fingerprint(image.identity),
        recipe=recipe.digest,
        base=image.identity,
    )
    return Plan(base, recipe, image, made)


def due(made: Made, builds: Sequence[ImageBuild], there: Sequence[str], now: datetime) -> bool:
    """Whether the image has to be built.

    `builds` are the repository's on all hosts, the newest first; `there` the references that still exist
    here. Another host's image counts while it is in the registry, or may be on its way there.
    """
    for build in builds:
        if build.state == "ready" and _can_be_had(build, made.place, there, now):
            return not _is_same(build, made, now)
        if build.state == "failed" and _is_same(build, made, now) and not build.passing:
            return now - build.started_at >= RETRY_AFTER
    return True


def _can_be_had(build: ImageBuild, place: str, there: Sequence[str], now: datetime) -> bool:
    if build.made.place == place:
        return build.reference in there
    fresh = build.finished_at is not None and now - build.finished_at < SHARED_WITHIN
    return bool(build.shared) or fresh


def _is_same(build: ImageBuild, made: Made, now: datetime) -> bool:
    """Of the same commit and from the same. Two hosts may have made their base apart from each other, so
    another host's image is taken for a day, whatever base it has."""
    if build.made.sha != made.sha:
        return False
    if build.made.fingerprint == made.fingerprint:
        return True
    elsewhere = build.is_copy or build.made.place != made.place
    return elsewhere and build.made.recipe == made.recipe and now - build.started_at < WHOLE_EVERY


def start_from(
    made: Made, builds: Sequence[ImageBuild], there: Sequence[str], now: datetime
) -> ImageBuild | None:
    """The earlier image that the next one can be built on; None: it is built from its base."""
    own = [build for build in builds if build.made.place == made.place]
    ready = [build for build in own if build.state == "ready" and build.reference in there]
    if not ready:
        return None
    newest = ready[0]
    same = (newest.made.recipe, newest.made.base) == (made.recipe, made.base)
    young = newest.whole_at is not None and now - newest.whole_at < WHOLE_EVERY
    return newest if same and young and newest.layers < MOST_LAYERS else None


def _wanted(base: BaseCommit, recipe: Recipe) -> WantedBase:
    dockerfile = recipe.dockerfile
    if dockerfile is None:
        return WantedBase(image=recipe.base)
    if not base.repository.engine_builds:
        raise NotAllowed(
            f"{recipe.devcontainer.file} has an image built from {dockerfile.file}, whose steps the engine "
            "runs outside the door. In the catalogue, name an `image` for the repository, set "
            "`engine_builds: true` to allow it, or `devcontainer: false` to leave that file out."
        )

    async def context(path: Path) -> None:
        await write_context(base, dockerfile, path)

    return WantedBase(
        build=DockerfileBuild(
            name=base.repository.slug,
            digest=recipe.digest,
            file=DOCKERFILE_NAME,
            context=context,
            args=dockerfile.args,
            target=dockerfile.target,
        )
    )
