"""Choosing the backend."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox.environments.choice import EnvironmentSettings, choose_environment, found_backends
from sandbox.environments.protocol import EnvironmentUnavailable


def settings(
    directory: Path, docker_host: str | None = None, base_image: str = "bellhop/base:none"
) -> EnvironmentSettings:
    return EnvironmentSettings(
        directory=directory,
        base_image=base_image,
        docker_host=docker_host or f"unix://{directory}/none.sock",
    )


def test_backends_are_found_by_their_files() -> None:
    assert list(found_backends()) == ["docker", "local"]


async def test_auto_takes_the_engine_that_answers(tmp_path: Path, docker_host: str, base_image: str) -> None:
    environment = await choose_environment("auto", settings(tmp_path, docker_host, base_image))
    assert environment.name == "docker"
    await environment.aclose()


@pytest.mark.needs("bubblewrap")
async def test_auto_falls_back_to_namespaces(tmp_path: Path) -> None:
    environment = await choose_environment("auto", settings(tmp_path))
    assert environment.name == "local"
    assert "bwrap" in environment.isolation


async def test_a_backend_that_does_not_work_is_not_replaced_by_another(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentUnavailable, match="No Docker engine answers"):
        await choose_environment("docker", settings(tmp_path))


async def test_an_unknown_backend_is_said_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentUnavailable, match="use auto, docker, local"):
        await choose_environment("podman", settings(tmp_path))
