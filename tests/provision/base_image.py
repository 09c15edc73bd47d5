"""The sandbox base image in the tests' engine."""

from __future__ import annotations

import contextlib
from pathlib import Path

import docker

from tests.provision import docker_engine, processes
from tests.provision.places import CACHE


def ensure(docker_host: str) -> str:
    """The tag of the base image in the engine at `docker_host`, building it if it is not there yet.

    Runs that need it at the same time wait for the one that builds.
    """
    from sandbox.images.base_image import ensure_base_image

    tag = _tag()
    cache = CACHE / "base-image"
    with (
        processes.lock(CACHE / "base-image.lock"),
        contextlib.closing(docker.DockerClient(base_url=docker_host)) as client,
    ):
        cache.mkdir(parents=True, exist_ok=True)
        ensure_base_image(client, tag, cache)
        _stamp(tag).touch()
    return tag


def ensure_once() -> None:
    """What the base image takes is done, so that no test waits minutes for it; nothing if it was before.

    Raises: processes.ServerDidNotStart, EnvironmentUnavailable.
    """
    if not _stamp(_tag()).exists():
        print("Putting the base image of the boxes together; this takes a minute or two, once", flush=True)
        with docker_engine.engine() as host:
            ensure(host)


def _tag() -> str:
    # Imported here because all other provisioning works without the rooms under test.
    from sandbox.images.base_image import recipe

    return f"bellhop/base:test-{recipe()}"


def _stamp(tag: str) -> Path:
    return CACHE / "base-image" / f"{tag.rpartition(':')[2]}.made"
