"""The images of one installation in an engine: bases found, fetched, built; boxes kept. All of it blocks."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import requests
from docker import DockerClient
from docker.errors import APIError, BuildError, ImageNotFound
from docker.models.containers import Container

from sandbox.environments.docker_containers import OWNER_LABEL, RUNNER_LABEL
from sandbox.environments.images import (
    REPOSITORY_LABEL,
    BaseImage,
    DockerfileBuild,
    ImageTag,
    ImageUnavailable,
    KeptImage,
    image_name,
)
from sandbox.images.base_image import READY_LABEL
from sandbox.runner import VERSION

KEPT_REPOSITORY = "bellhop/repo-"
BUILT_REPOSITORY = "bellhop/built-"
BUILD_SECONDS = 1800
BUILD_MEMORY_BYTES = 2 * 1024**3
SAID_CHARACTERS = 600


class DockerImages:
    """Those of `owner` in the engine of `client`."""

    def __init__(self, client: DockerClient, owner: str) -> None:
        self._client = client
        self._owner = owner

    def named(self, reference: str) -> BaseImage:
        """The image of that name: the engine's own copy, else fetched. Raises: ImageUnavailable."""
        try:
            found = self._client.images.get(reference)
        except ImageNotFound:
            try:
                found = self._client.images.pull(*_name_and_tag(reference))
            # A registry that says nothing for so long is none; the engine itself has answered before.
            except (APIError, requests.exceptions.Timeout) as error:
                raise ImageUnavailable(
                    f"The image {reference} is not in the engine and could not be fetched ({_said(error)}). "
                    "Let the engine reach its registry, load the image under that name, or name another one."
                ) from error
        if found.labels.get(OWNER_LABEL):
            # It holds the code of its repository, which may not be that of whoever names it.
            raise ImageUnavailable(f"The image {reference} is a box that was kept: name another.")
        return BaseImage(reference, str(found.id))

    def built(self, build: DockerfileBuild, context: Path) -> BaseImage:
        """The image built from the archive `context`, unless it was before. Raises: ImageUnavailable."""
        repository = f"{BUILT_REPOSITORY}{image_name(build.name, self._owner)}"
        tag = f"{repository}:{build.digest}"
        try:
            return BaseImage(tag, str(self._client.images.get(tag).id))
        except ImageNotFound:
            pass
        try:
            with context.open("rb") as archive:
                image, _ = self._client.images.build(
                    fileobj=archive,
                    custom_context=True,
                    dockerfile=build.file,
                    buildargs=dict(build.args),
                    target=build.target or None,
                    tag=tag,
                    rm=True,
                    forcerm=True,
                    timeout=BUILD_SECONDS,
                    container_limits={"memory": BUILD_MEMORY_BYTES, "memswap": BUILD_MEMORY_BYTES},
                )
        except (BuildError, APIError) as error:
            # An engine that goes away in the middle just ends what it says.
            self._client.ping()
            raise ImageUnavailable(
                f"The repository's Dockerfile could not be built ({_said(error)}). Its first image comes "
                "from a registry that the engine must reach; mend the Dockerfile, or name an image in the "
                "catalogue."
            ) from error
        self._forget_others(repository, tag)
        return BaseImage(tag, str(image.id))

    def keep(self, container: Container, tag: ImageTag, labels: Mapping[str, str]) -> KeptImage:
        """An image of the container's filesystem, with nothing of its environment. It must not run."""
        reference = kept_name(self._owner, tag)
        parent = self._client.images.get(str(container.attrs["Image"]))
        # An engine lets an image inherit what its container was given; each box is given its own anew.
        inherited = {name: "" for name in container.labels if name.startswith("bellhop.")}
        own = {**inherited, **labels, OWNER_LABEL: self._owner, RUNNER_LABEL: str(VERSION), READY_LABEL: "1"}
        changes = [f"LABEL {_quoted(name)}={_quoted(value)}" for name, value in own.items()]
        before = _variables(parent.attrs["Config"].get("Env"))
        given = _variables(container.attrs["Config"].get("Env"))
        changed = [name for name, value in given.items() if before.get(name) != value]
        changes += [f"ENV {name}={_quoted(before.get(name, ''))}" for name in changed]
        changes.append('ENTRYPOINT ["/bin/sh"]')
        container.commit(*reference.rsplit(":", 1), pause=False, changes="\n".join(changes))
        return self._kept(reference)

    def list(self) -> Sequence[KeptImage]:
        """Every repository image of this owner."""
        # Asked in one go: what the SDK lists it looks up one by one, and fails when one goes in between.
        found = self._client.api.images(filters={"reference": f"{KEPT_REPOSITORY}*"})
        return [
            KeptImage(reference, dict(image["Labels"] or {}), int(image["Size"]))
            for image in found
            for reference in image["RepoTags"] or ()
            if self._is_own(reference, image["Labels"] or {})
        ]

    def _is_own(self, reference: str, labels: Mapping[str, str]) -> bool:
        """An image that came from another host has that one's label, and a name of this one's."""
        own = f"{KEPT_REPOSITORY}{image_name(labels.get(REPOSITORY_LABEL, ''), self._owner)}:"
        here = labels.get(OWNER_LABEL) == self._owner and reference.startswith(KEPT_REPOSITORY)
        return here or reference.startswith(own)

    def remove(self, reference: str) -> None:
        """The image has lost that name, and is gone unless it has others."""
        with suppress(ImageNotFound):
            # By force: a box that stands on it keeps its layers, and only the name goes.
            self._client.images.remove(reference, force=True)

    def _kept(self, reference: str) -> KeptImage:
        image = self._client.images.get(reference)
        return KeptImage(reference, dict(image.labels), int(image.attrs["Size"]))

    def _forget_others(self, repository: str, tag: str) -> None:
        """Earlier builds lose their name; images that stand on them keep their layers."""
        for image in self._client.images.list(name=repository):
            for former in image.tags:
                if former != tag:
                    try:
                        self._client.images.remove(former)
                    except APIError as error:
                        # A box stands on it, or someone else has removed it.
                        if error.status_code not in (404, 409):
                            raise


def kept_name(owner: str, tag: ImageTag) -> str:
    """What a repository's image is called in the engine."""
    return f"{KEPT_REPOSITORY}{image_name(tag.slug, owner)}:{tag.tag}"


def _name_and_tag(reference: str) -> tuple[str, str | None]:
    name, colon, tag = reference.rpartition(":")
    if "@" in reference:
        return reference, None
    return (name, tag) if colon and "/" not in tag else (reference, "latest")


def _variables(listed: Sequence[str] | None) -> dict[str, str]:
    return dict(entry.partition("=")[::2] for entry in listed or ())


def _quoted(value: str) -> str:
    """As a word of a Dockerfile, in which nothing is expanded."""
    return json.dumps(value, ensure_ascii=False).replace("$", "\\$")


def _said(error: Exception) -> str:
    words = " ".join(str(getattr(error, "explanation", None) or error).split())
    return words if len(words) <= SAID_CHARACTERS else f"…{words[-SAID_CHARACTERS:]}"
