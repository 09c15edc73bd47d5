"""One container of a Docker engine, as a box."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import uuid4

from docker.errors import APIError, NotFound
from docker.models.containers import Container

from sandbox.environments.docker_connection import Engine
from sandbox.environments.docker_containers import REMOVING
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
        engine: Engine,
        container: Container,
        name: str,
        runner: RunnerClient,
        origin: Origin,
        images: DockerImages,
        services: DockerServices,
    ) -> None:
        super().__init__(name, runner, origin)
        self._environment = environment
        self._engine = engine
        self._container = container
        self._images = images
        self._services = services

    async def snapshot(self, tag: str) -> str:
        """An image of the container's filesystem. Raises: EnvironmentUnavailable, SandboxFailed."""
        return await self._environment.snapshot(self._name, tag)

    async def keep(self, tag: ImageTag, labels: Mapping[str, str]) -> KeptImage:
        """An image of the container, which has ended. Raises: EnvironmentUnavailable, SandboxFailed."""
        try:
            # What was called and printed here is nothing to the boxes that are made from it.
            await self._runner.exec(
                f"keep-{uuid4().hex}", f"find {STATE} -type f -delete", timeout_seconds=FORGET_SECONDS
            )
        except RunnerError as error:
            raise SandboxFailed(f"box {self._name}: it cannot be kept as an image: {error}") from error
        await self._runner.aclose()
        await self.kill()
        failing = f"box {self._name}: it cannot be kept as an image"
        return await self._engine.call(failing, self._images.keep, self._container, tag, labels)

    async def stop(self) -> None:
        """The container and its services have ended; its filesystem stays. Raises: EnvironmentUnavailable,
        SandboxFailed."""
        await self._runner.aclose()
        await self._engine.call(f"box {self._name} does not stop", self._stop)

    async def kill(self) -> None:
        """The container and its services were killed; its filesystem stays. Raises: EnvironmentUnavailable,
        SandboxFailed."""
        await self._engine.call(f"box {self._name} cannot be killed", self._kill)

    async def remove(self) -> None:
        """The container is gone. Raises: EnvironmentUnavailable, SandboxFailed."""
        await self._runner.aclose()
        await self._environment.remove(self._name)

    async def cause_of_death(self) -> str | None:
        """Why the container is not running; None when it is.

        Raises: EnvironmentUnavailable, SandboxFailed.
        """
        failing = f"box {self._name}: it is not known why it ended"
        return await self._engine.call(failing, self._cause_of_death)

    def _stop(self) -> None:
        self._container.stop(timeout=2)
        self._services.end(self._name)

    def _kill(self) -> None:
        try:
            self._container.kill()
            self._container.wait()
        except APIError as error:
            # It does not run, or is not there.
            if error.status_code not in (404, 409):
                raise
        self._services.end(self._name)

    def _cause_of_death(self) -> str | None:
        try:
            self._container.reload()
        except NotFound:
            return "removed"
        state = self._container.attrs["State"]
        if state["Running"]:
            return None
        if self._container.status == REMOVING:
            return "removed"
        if state["OOMKilled"]:
            return "out of memory"
        return "killed" if state["ExitCode"] == 137 else f"exited with {state['ExitCode']}"
