"""Which sandbox backend is used here."""

from __future__ import annotations

from sandbox.environments.choice import EnvironmentSettings, choose_environment
from sandbox.environments.protocol import Environment
from session.settings import Settings

BASE_IMAGE = "bellhop/base:3"
"""Tag of the image that boxes start from, unless SANDBOX_BASE_IMAGE names another."""


async def open_environment(settings: Settings, *, prepare: bool = True) -> Environment:
    """The backend of SANDBOX_BACKEND, ready to open boxes; without `prepare` only known to answer.

    Raises: EnvironmentUnavailable, when none works here; never a box without isolation.
    """
    made_with = environment_settings(settings)
    return await choose_environment(settings.sandbox_backend, made_with, prepare=prepare)


def environment_settings(settings: Settings, directory: str = "boxes") -> EnvironmentSettings:
    """What a backend is made with, whose files lie in that directory of BELLHOP_HOME."""
    return EnvironmentSettings(
        directory=settings.bellhop_home / directory,
        base_image=settings.sandbox_base_image or BASE_IMAGE,
        docker_host=settings.docker_host or None,
        runtime=settings.sandbox_runtime or None,
        registry=settings.sandbox_registry or None,
    )
