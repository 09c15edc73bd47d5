"""The sandbox base image in the tests' engine."""

from __future__ import annotations

import contextlib

import docker

from tests.provision import processes
from tests.provision.places import CACHE


def ensure(docker_host: str) -> str:
    """The tag of the base image in the engine at `docker_host`, building it if it is not there yet.

    Runs that need it at the same time wait for the one that builds.
    """
    # Imported here because all other provisioning works without the rooms under test.
    from sandbox.images.base_image import ensure_base_image, recipe

    tag = f"bellhop/base:test-{recipe()}"
    cache = CACHE / "base-image"
    with (
        processes.lock(CACHE / "base-image.lock"),
        contextlib.closing(docker.DockerClient(base_url=docker_host)) as client,
    ):
        cache.mkdir(parents=True, exist_ok=True)
        ensure_base_image(client, tag, cache)
    return tag
