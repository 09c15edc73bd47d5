"""What a repository's box is made of, read from the host's mirror at the base commit."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from sandbox.base_commit import BaseCommit, file_at
from sandbox.broker.git import run_git
from sandbox.images.devcontainer import (
    FILES,
    BadDevcontainer,
    Devcontainer,
    Dockerfile,
    read_devcontainer,
)
from sandbox.runner import VERSION

# What a Dockerfile takes from its context; from another stage or an image it takes nothing of the repository.
TAKES_FILES = re.compile(r"^\s*(?:COPY|ADD)\s+(?!.*--from=)", re.IGNORECASE | re.MULTILINE)


NOTHING = Devcontainer()


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a box is made ready for one commit of a repository.

    `setup` is the catalogue's, else the repository's own; `devcontainer` comes after it. `content` changes
    with the files that go into an image built from a Dockerfile; empty without one.
    """

    image: str
    setup: tuple[str, ...]
    verify: tuple[str, ...]
    devcontainer: Devcontainer = NOTHING
    content: str = ""

    @property
    def dockerfile(self) -> Dockerfile | None:
        """The image to be built, where no image is named in the catalogue."""
        return None if self.image else self.devcontainer.dockerfile

    @property
    def base(self) -> str:
        """The image that boxes are to be made from; empty for the backend's own."""
        return self.image or self.devcontainer.image

    @property
    def at_first(self) -> tuple[str, ...]:
        """The commands for a box that has only the repository."""
        own = self.devcontainer
        return (*self.setup, *own.on_create, *own.update_content, *own.post_create)

    @property
    def again(self) -> tuple[str, ...]:
        """The commands for a box in which those of an earlier commit have run."""
        return (*self.setup, *self.devcontainer.update_content, *self.devcontainer.post_create)

    @property
    def variables(self) -> Mapping[str, str]:
        """What every program of the box finds in its environment."""
        user = self.devcontainer.user
        return {**self.devcontainer.env, **({"USER": user, "LOGNAME": user} if user else {})}

    @property
    def digest(self) -> str:
        """Changes with everything that makes a box ready, but for the checks: 16 hex digits."""
        own = self.devcontainer
        dockerfile = asdict(self.dockerfile) if self.dockerfile else None
        return _digest(
            VERSION, self.base, dockerfile, self.content, self.setup, own.on_create, own.update_content,
            own.post_create, dict(self.variables),
        )  # fmt: skip

    def fingerprint(self, base_identity: str) -> str:
        """Changes with everything that shapes an image, whatever the commit: 8 hex digits."""
        return _digest(self.digest, base_identity, self.verify)[:8]


async def read_recipe(base: BaseCommit) -> Recipe:
    """The recipe at the base commit. Raises: BadDevcontainer, with what to write instead."""
    repository = base.repository
    devcontainer = await _devcontainer(base) if repository.devcontainer else NOTHING
    recipe = Recipe(repository.image, base.setup, base.verify, devcontainer)
    if recipe.dockerfile is None:
        return recipe
    content = await _content(base, devcontainer.file, recipe.dockerfile)
    return Recipe(repository.image, base.setup, base.verify, devcontainer, content)


async def _devcontainer(base: BaseCommit) -> Devcontainer:
    for file in FILES:
        text = await file_at(base, file)
        if text is not None:
            return read_devcontainer(file, text)
    return NOTHING


async def _content(base: BaseCommit, file: str, dockerfile: Dockerfile) -> str:
    """What of the repository goes into the image: the Dockerfile, and its context where it takes from it."""
    text = await file_at(base, dockerfile.file)
    if text is None:
        raise BadDevcontainer(
            f"{file} names the Dockerfile {dockerfile.file}, which is not in the repository; correct "
            "`build.dockerfile`, which is a path from that file's folder."
        )
    if not TAKES_FILES.search(text):
        return hashlib.sha256(text.encode()).hexdigest()[:16]
    tree = "" if dockerfile.context == "." else dockerfile.context
    found = await run_git(base.mirror, "rev-parse", "--verify", "--quiet", f"{base.sha}:{tree}")
    return f"{hashlib.sha256(text.encode()).hexdigest()[:16]} {found.text}"


def _digest(*parts: object) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]
