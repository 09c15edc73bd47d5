"""What backends are told of images, and what they tell: bases that boxes are made from, and boxes kept."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

REPOSITORY_LABEL = "bellhop.repository"
SHA_LABEL = "bellhop.sha"
FINGERPRINT_LABEL = "bellhop.fingerprint"
LAYERS_LABEL = "bellhop.layers"
IMAGE_LABEL = "bellhop.image"
"""On a box: the repository image that it was made from."""

_PLAIN = re.compile(r"[^a-z0-9]+")
_MAX_NAME = 30


class ImageUnavailable(Exception):
    """An image cannot be had here; the message says which, why, and what to do."""


@dataclass(frozen=True, slots=True)
class DockerfileBuild:
    """An image to be built from a repository's files.

    `name` tells the repository from others, `digest` changes with everything that goes in. `context` writes
    the files as a tar archive, the Dockerfile among them as `file`.
    """

    name: str
    digest: str
    file: str
    context: Callable[[Path], Awaitable[None]]
    args: Mapping[str, str] = field(default_factory=dict)
    target: str = ""


@dataclass(frozen=True, slots=True)
class WantedBase:
    """What boxes are to be made from: a built image, a named one, or (neither) the backend's own base."""

    image: str = ""
    build: DockerfileBuild | None = None


@dataclass(frozen=True, slots=True)
class BaseImage:
    """A base that is there. `reference` is for `SandboxSpec.image`; `identity` changes when its content does;
    `note` says what of the wish could not be followed, in a sentence."""

    reference: str | None
    identity: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class ImageTag:
    """How an image of a repository is to be called: `tag` is letters, digits, `.`, `_`, `-`."""

    slug: str
    tag: str


@dataclass(frozen=True, slots=True)
class KeptImage:
    """An image of a repository that is kept on this host."""

    reference: str
    labels: Mapping[str, str]
    size_bytes: int


def image_name(slug: str, owner: str = "") -> str:
    """A name for the repository's images that no other repository and no other `owner` has."""
    plain = _PLAIN.sub("-", slug.lower()).strip("-")[:_MAX_NAME].strip("-")
    told_apart = hashlib.sha256(f"{owner} {slug.lower()}".encode()).hexdigest()[:8]
    return f"{plain}-{told_apart}"
