"""The base image without what only some repositories need, for an engine that a test starts from nothing."""

from __future__ import annotations

import contextlib
import io
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import docker
from typing_extensions import Buffer

from tests.provision import processes
from tests.provision.places import CACHE

_LEFT_OUT = (
    "usr/include",
    "usr/lib/gcc",
    "usr/lib/python3",
    "usr/share",
    "usr/lib/x86_64-linux-gnu/perl",
    "usr/lib/aarch64-linux-gnu/perl",
    "var/cache",
    "var/lib",
)
_KEPT = ("usr/share/git-core",)
# Compilers, Node and static libraries; Python and git are smaller.
_LEFT_OUT_ABOVE_BYTES = 7 * 1024**2
_CHUNK_BYTES = 1024**2


def ensure(docker_host: str, base_image: str) -> Path:
    """A tarball with the files of the small image, made of the base image in the engine at `docker_host`."""
    kept = CACHE / "small-image" / f"{base_image.rpartition(':')[2]}.tar"
    with processes.lock(CACHE / "small-image.lock"):
        if not kept.exists():
            kept.parent.mkdir(parents=True, exist_ok=True)
            unfinished = kept.with_suffix(".part")
            _make(docker_host, base_image, unfinished)
            unfinished.rename(kept)
    return kept


def imported(docker_host: str, small: Path) -> str:
    """The tag of the small image in the engine at `docker_host`; it is put there if it is not yet."""
    from sandbox.images.base_image import ensure_base_image, recipe

    tag = f"bellhop/base:small-{recipe()}"
    with (
        tempfile.TemporaryDirectory() as cache,
        contextlib.closing(docker.DockerClient(base_url=docker_host)) as client,
    ):
        put_ready(small, Path(cache))
        ensure_base_image(client, tag, Path(cache))
    return tag


def put_ready(small: Path, cache: Path) -> None:
    """The product finds the small image where it keeps what it puts its base image together from."""
    from sandbox.images.base_image import DEBIAN_RELEASE, recipe

    cache.mkdir(parents=True, exist_ok=True)
    (cache / f"base-{DEBIAN_RELEASE}-{recipe()}.tar").symlink_to(small)


def _make(docker_host: str, base_image: str, target: Path) -> None:
    with contextlib.closing(docker.DockerClient(base_url=docker_host)) as client:
        container = client.containers.create(base_image, ["true"], network_mode="none")
        try:
            stream = io.BufferedReader(_Stream(cast("Iterator[bytes]", container.export())), _CHUNK_BYTES)
            with tarfile.open(fileobj=stream, mode="r|") as whole, tarfile.open(target, "w") as small:
                for entry in whole:
                    if _is_kept(entry):
                        small.addfile(entry, whole.extractfile(entry) if entry.isreg() else None)
        finally:
            container.remove()


def _is_kept(entry: tarfile.TarInfo) -> bool:
    path = entry.name.removeprefix("./") + "/"
    if any(path.startswith(f"{start}/") for start in _KEPT):
        return True
    small = entry.size < _LEFT_OUT_ABOVE_BYTES and not entry.name.endswith(".a")
    return small and not any(path.startswith(f"{start}/") for start in _LEFT_OUT)


class _Stream(io.RawIOBase):
    """Chunks as a file that is read from the beginning to the end."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._left = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer) -> int:
        data = self._left or next(self._chunks, b"")
        room = memoryview(buffer)
        taken = min(len(room), len(data))
        room[:taken] = data[:taken]
        self._left = data[taken:]
        return taken
