"""Every backend that this machine has, under one name."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import pytest_asyncio
from docker import DockerClient

from sandbox.environments.docker_engine import DockerEnvironment
from sandbox.environments.local_namespace import LocalEnvironment
from sandbox.environments.protocol import Environment, Sandbox
from tests.provision.docker_engine import RUNTIME_VARIABLE
from tests.sandbox.environments.boxes import Bench

RUNTIME = os.environ.get(RUNTIME_VARIABLE, "")
BACKENDS = ("docker", "bubblewrap", "unshare", *((f"docker under {RUNTIME}",) if RUNTIME else ()))


@pytest.fixture(scope="module", params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    """The name of one backend; a test with this runs once for each."""
    name: str = request.param
    return name


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bench(
    backend: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Bench]:
    """The backend's environment, checked."""
    directory = tmp_path_factory.mktemp(backend)
    environment = make_environment(backend, request, directory)
    await environment.check()
    yield Bench(environment, directory)
    await environment.aclose()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def containers(
    docker_host: str, base_image: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Bench]:
    """Containers, for what they alone have."""
    directory = tmp_path_factory.mktemp("containers")
    environment = DockerEnvironment(
        run_directory=directory / "run", base_image=base_image, cache=directory, base_url=docker_host
    )
    yield Bench(environment, directory)
    await environment.aclose()


@pytest.fixture(scope="module")
def engine(docker_host: str) -> Iterator[DockerClient]:
    """The engine itself, to look behind the environment."""
    with closing(DockerClient(base_url=docker_host)) as client:
        yield client


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def box(bench: Bench) -> AsyncIterator[Sandbox]:
    """One box for all tests of a module that leave it as they found it."""
    async with bench.box() as sandbox:
        yield sandbox


def make_environment(backend: str, request: pytest.FixtureRequest, directory: Path) -> Environment:
    """The environment of that name, with its files below `directory`."""
    if backend.startswith("docker"):
        return DockerEnvironment(
            run_directory=directory / "run",
            base_image=request.getfixturevalue("base_image"),
            cache=directory / "cache",
            base_url=request.getfixturevalue("docker_host"),
            runtime=RUNTIME if "under" in backend else None,
        )
    if backend == "bubblewrap":
        request.getfixturevalue("require")("bubblewrap")
        return LocalEnvironment(directory=directory, program="bwrap")
    return LocalEnvironment(directory=directory, program="unshare")
