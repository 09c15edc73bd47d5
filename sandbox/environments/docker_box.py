"""One container of a Docker engine, as a box."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from uuid import uuid4

from docker.errors import APIError, NotFound
from docker.models.containers import Container

from sandbox.environments.docker_containers import ENGINE_ERRORS
from sandbox.environments.docker_images import DockerImages
from sandbox.environments.docker_services import DockerServices
from sandbox.environments.images import ImageTag, KeptImage
from sandbox.environments.open_box import OpenBox
from sandbox.environments.protocol import Environment, Origin, SandboxFailed
from sandbox.environments.runner_client import RunnerClient, RunnerError
from sandbox.environments.runner_launch import STATE

FORGET_SECONDS = 60.0


class DockerSandbox(OpenBox):
    """One container. Made by `DockerEnvironment.open`."""

    def __init__(
        self,
        environment: Environment,
        container: Container,
        name: str,
        runner: RunnerClient,
        origin: Origin,
        images: DockerImages,
        services: DockerServices,
    ) -> None:
        super().__init__(name, runner, origin)
        self._environment = environment
        self._container = container
        self._images = images
        self._services = services

    async def snapshot(self, tag: str) -> str:
        """An image of the container's filesystem. Raises: EnvironmentUnavailable, SandboxFailed."""
        return await self._environment.snapshot(self._name, tag)

    async def keep(self, tag: ImageTag, labels: Mapping[str, str]) -> KeptImage:
        """An image of the container, which has ended. Raises: SandboxFailed."""
        try:
            # What was called and printed here is nothing to the boxes that are made from it.
            await self._runner.exec(
                f"keep-{uuid4().hex}", f"find {STATE} -type f -delete", timeout_seconds=FORGET_SECONDS
            )
        except RunnerError as error:
            raise SandboxFailed(f"box {self._name}: it cannot be kept as an image: {error}") from error
        await self._runner.aclose()
        await self.kill()
        try:
            return await asyncio.to_thread(self._images.keep, self._container, tag, labels)
        except ENGINE_ERRORS as error:
            raise SandboxFailed(f"box {self._name}: it cannot be kept as an image: {error}") from error

    async def stop(self) -> None:
        """The container and its services have ended; its filesystem stays. Raises: SandboxFailed."""
        await self._runner.aclose()
        try:
            await asyncio.to_thread(self._container.stop, timeout=2)
            await asyncio.to_thread(self._services.end, self._name)
        except ENGINE_ERRORS as error:
            raise SandboxFailed(f"box {self._name} does not stop: {error}") from error

    async def kill(self) -> None:
        """The container and its services were killed; its filesystem stays. Raises: SandboxFailed."""
        try:
            await asyncio.to_thread(self._kill)
            await asyncio.to_thread(self._services.end, self._name)
        except ENGINE_ERRORS as error:
            raise SandboxFailed(f"box {self._name} cannot be killed: {error}") from error

    async def remove(self) -> None:
        """The container is gone. Raises: EnvironmentUnavailable."""
        await self._runner.aclose()
        await self._environment.remove(self._name)

    def _kill(self) -> None:
        try:
            self._container.kill()
            self._container.wait()
        except APIError as error:
            # It does not run, or is not there.
            if error.status_code not in (404, 409):
                raise

    async def cause_of_death(self) -> str | None:
        """Why the container is not running; None when it is. Raises: SandboxFailed."""
        try:
            await asyncio.to_thread(self._container.reload)
        except NotFound:
            return "removed"
        except ENGINE_ERRORS as error:
            raise SandboxFailed(f"box {self._name}: the engine does not answer: {error}") from error
        state = self._container.attrs["State"]
        if state["Running"]:
            return None
        if state["OOMKilled"]:
            return "out of memory"
        return "killed" if state["ExitCode"] == 137 else f"exited with {state['ExitCode']}"
