"""Which sandbox backend is used here."""

from __future__ import annotations

import structlog

from sandbox.environments.docker_engine import DEFAULT_ENGINE, DockerEnvironment
from sandbox.environments.local_namespace import LocalEnvironment
from sandbox.environments.protocol import Environment, EnvironmentUnavailable
from session.settings import Settings

_log = structlog.get_logger(__name__)

BASE_IMAGE = "bellhop/base:1"
"""Tag of the image that boxes start from, unless SANDBOX_BASE_IMAGE names another."""


async def open_environment(settings: Settings) -> Environment:
    """The backend of SANDBOX_BACKEND; `auto` takes Docker where an engine answers, else the local one.

    Raises: EnvironmentUnavailable, when none works here; never a box without isolation.
    """
    if settings.sandbox_backend == "docker":
        return await _checked(_docker(settings))
    if settings.sandbox_backend == "local":
        return await _checked(_local(settings))
    try:
        return await _checked(_docker(settings))
    except EnvironmentUnavailable as error:
        _log.warning("no container engine, using the local sandbox", reason=str(error))
        return await _checked(_local(settings))


async def _checked(environment: Environment) -> Environment:
    try:
        await environment.check()
    except EnvironmentUnavailable:
        await environment.aclose()
        raise
    return environment


def _docker(settings: Settings) -> Environment:
    return DockerEnvironment(
        run_directory=settings.bellhop_home / "run",
        base_image=settings.sandbox_base_image or BASE_IMAGE,
        cache=settings.bellhop_home / "cache",
        base_url=settings.docker_host or DEFAULT_ENGINE,
        runtime=settings.sandbox_runtime or None,
    )


def _local(settings: Settings) -> Environment:
    return LocalEnvironment(directory=settings.bellhop_home / "local")
