"""Boxes that are containers of a Docker engine on this host."""

from __future__ import annotations

import asyncio
import hashlib
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

from docker import DockerClient
from docker.errors import APIError, DockerException, ImageNotFound
from docker.models.containers import Container

from sandbox.environments.choice import Backend, EnvironmentSettings
from sandbox.environments.docker_box import DockerSandbox
from sandbox.environments.docker_containers import ENGINE_ERRORS, OWNER_LABEL, Containers, container_name
from sandbox.environments.docker_images import DockerImages
from sandbox.environments.docker_registry import DockerRegistry
from sandbox.environments.docker_services import DockerServices
from sandbox.environments.images import BaseImage, KeptImage, WantedBase
from sandbox.environments.protocol import (
    NAME_LABEL,
    SESSION_LABEL,
    BoxInfo,
    EnvironmentUnavailable,
    ImageMissing,
    Origin,
    SandboxFailed,
    SandboxSpec,
)
from sandbox.environments.runner_client import RunnerClient, RunnerGone
from sandbox.environments.runner_launch import SOCKET_NAME, adopted_runner, answering_runner
from sandbox.environments.service import ServiceSpec
from sandbox.images.base_image import ensure_base_image

NAMES = re.compile(r"[a-z0-9][a-z0-9-]{0,50}")
DEFAULT_ENGINE = "unix:///var/run/docker.sock"
START_SECONDS = 30.0


class DockerEnvironment:
    """Containers of the engine at `base_url`, which runs on this host.

    `run_directory` holds one directory per box with its socket; the engine must see it under the same path.
    `base_image` is made on first use, `cache` keeps what that takes. `runtime` is another container runtime
    of the engine, such as runsc. `registry` is where it shares images with other hosts, `logins` the file
    with the credentials for it (None: the usual one).
    """

    def __init__(
        self,
        *,
        run_directory: Path,
        base_image: str,
        cache: Path,
        base_url: str = DEFAULT_ENGINE,
        runtime: str | None = None,
        registry: str | None = None,
        logins: Path | None = None,
    ) -> None:
        self._run_directory = run_directory.absolute()
        self._base_image = base_image
        self._cache = cache
        self._base_url = base_url
        self._runtime = runtime
        self._owner = hashlib.sha256(str(self._run_directory).encode()).hexdigest()[:8]
        self._registry = DockerRegistry(self._engine, registry, self._owner, logins) if registry else None
        self._client: DockerClient | None = None
        self._place: str | None = None
        self._opening: dict[str, asyncio.Lock] = {}

    @property
    def name(self) -> str:
        return "docker"

    @property
    def isolation(self) -> str:
        runtime = f" under {self._runtime}" if self._runtime else ""
        return f"A container of its own{runtime}: no network, no privileges, a filtered kernel surface."

    @property
    def forgetful(self) -> bool:
        return True

    async def check(self) -> None:
        """Returns when the engine answers. Raises: EnvironmentUnavailable."""
        await asyncio.to_thread(self._engine)

    async def prepare(self) -> None:
        """The base image is there; without a registry it is put together, which takes a minute or two once.

        Raises: EnvironmentUnavailable.
        """
        client = await asyncio.to_thread(self._engine)
        await self._base(client)

    async def open(self, spec: SandboxSpec) -> DockerSandbox:
        """The box of that name, adopted, restarted or created.

        Raises: EnvironmentUnavailable, SandboxFailed.
        """
        if not NAMES.fullmatch(spec.name):
            raise SandboxFailed(f"{spec.name!r} cannot name a box: use a-z, 0-9 and -, at most 51")
        async with self._opening.setdefault(spec.name, asyncio.Lock()):
            try:
                return await self._open(spec)
            except ENGINE_ERRORS as error:
                raise SandboxFailed(f"box {spec.name}: the engine refused: {error}") from error

    async def list(self) -> Sequence[BoxInfo]:
        """Every box made with this run directory. Raises: EnvironmentUnavailable."""
        client = await asyncio.to_thread(self._engine)
        filters: dict[str, str | list[str] | bool] = {
            # An engine may serve several Bellhops; nobody sweeps another's boxes.
            "label": [NAME_LABEL, f"{OWNER_LABEL}={self._owner}"]
        }
        found = await asyncio.to_thread(
            client.containers.list, all=True, filters=filters, ignore_removed=True
        )
        return [
            BoxInfo(
                name=box.labels[NAME_LABEL],
                session_id=box.labels.get(SESSION_LABEL, ""),
                running=box.status == "running",
                labels=dict(box.labels),
            )
            for box in found
        ]

    async def snapshot(self, name: str, tag: str) -> str:
        """An image of the container's filesystem, made without pausing it.

        Raises: EnvironmentUnavailable, SandboxFailed.
        """
        client = await asyncio.to_thread(self._engine)
        return await asyncio.to_thread(self._containers(client).snapshot, name, tag)

    async def end(self, name: str) -> None:
        """The container and its services were killed; its filesystem stays. Raises: EnvironmentUnavailable,
        SandboxFailed."""
        client = await asyncio.to_thread(self._engine)
        await asyncio.to_thread(_kill, client, container_name(self._owner, name))
        await self._end_services(client, name)

    async def remove(self, name: str) -> None:
        """The container, its services and its socket directory are gone. Raises: EnvironmentUnavailable,
        SandboxFailed."""
        client = await asyncio.to_thread(self._engine)
        await asyncio.to_thread(self._containers(client).remove, name)
        await self._end_services(client, name)

    async def open_service(self, box: str, service: ServiceSpec) -> bool:
        """The service runs in a container in the box's network. Raises: ServiceFailed,
        EnvironmentUnavailable."""
        client = await asyncio.to_thread(self._engine)
        return await asyncio.to_thread(self._services(client).open, box, service)

    async def sweep_services(self) -> int:
        """Services of boxes that do not run are gone. Raises: EnvironmentUnavailable, SandboxFailed."""
        client = await asyncio.to_thread(self._engine)
        try:
            return await asyncio.to_thread(self._services(client).sweep)
        except ENGINE_ERRORS as error:
            raise SandboxFailed(f"services without a box cannot be removed: {error}") from error

    async def remove_snapshot(self, reference: str) -> None:
        """The image is gone, or goes with the last box that stands on it.

        Raises: EnvironmentUnavailable, SandboxFailed.
        """
        client = await asyncio.to_thread(self._engine)
        try:
            # By force: a box that stands on it keeps its layers, and only the name goes.
            await asyncio.to_thread(client.images.remove, reference, force=True)
        except ImageNotFound:
            return
        except ENGINE_ERRORS as error:
            raise SandboxFailed(f"{reference} cannot be removed: {error}") from error

    async def place(self) -> str:
        """This installation in this very engine. Raises: EnvironmentUnavailable."""
        if self._place is None:
            client = await asyncio.to_thread(self._engine)
            engine = (await asyncio.to_thread(client.info))["ID"]
            self._place = f"docker:{engine[:36]}:{self._owner}"
        return self._place

    async def base(self, wanted: WantedBase) -> BaseImage:
        """The engine's copy of what is wanted, fetched or built. Raises: ImageUnavailable,
        EnvironmentUnavailable."""
        client = await asyncio.to_thread(self._engine)
        images = DockerImages(client, self._owner)
        if wanted.build is not None:
            with tempfile.TemporaryDirectory(prefix="bellhop-context-") as directory:
                archive = Path(directory) / "context.tar"
                await wanted.build.context(archive)
                return await asyncio.to_thread(images.built, wanted.build, archive)
        if wanted.image:
            return await asyncio.to_thread(images.named, wanted.image)
        return await asyncio.to_thread(images.named, await self._base(client))

    async def images(self) -> Sequence[KeptImage]:
        """Every repository image of this run directory's. Raises: EnvironmentUnavailable."""
        client = await asyncio.to_thread(self._engine)
        return await asyncio.to_thread(DockerImages(client, self._owner).list)

    async def remove_image(self, reference: str) -> None:
        """The same as for a snapshot. Raises: EnvironmentUnavailable, SandboxFailed."""
        await self.remove_snapshot(reference)

    @property
    def registry(self) -> DockerRegistry | None:
        return self._registry

    async def aclose(self) -> None:
        """Closes the connection to the engine; boxes go on."""
        if self._client is not None:
            await asyncio.to_thread(self._client.close)
            self._client = None

    def _engine(self) -> DockerClient:
        try:
            # Looked for first: the SDK leaks the socket that it could not connect.
            scheme, _, path = self._base_url.partition("://")
            if scheme == "unix" and not Path(path).exists():
                raise DockerException(f"there is no socket {self._base_url}")
            if self._client is None:
                self._client = DockerClient(base_url=self._base_url)
            self._client.ping()
        except ENGINE_ERRORS as error:
            raise EnvironmentUnavailable(
                f"No Docker engine answers at {self._base_url}: start one, set DOCKER_HOST to its address, "
                "or choose another SANDBOX_BACKEND."
            ) from error
        return self._client

    async def _open(self, spec: SandboxSpec) -> DockerSandbox:
        client = await asyncio.to_thread(self._engine)
        containers = self._containers(client)
        container = await asyncio.to_thread(containers.find, spec.name)
        socket_path = self._run_directory / spec.name / SOCKET_NAME
        origin: Origin = "created" if container is None else "restarted"
        if container is None:
            container = await self._created(client, containers, spec)
        else:
            container = await asyncio.to_thread(containers.with_door, container, spec)
        if container.status == "running":
            try:
                runner = await adopted_runner(socket_path)
                return self._box(client, container, spec, runner, "adopted")
            except RunnerGone:
                await asyncio.to_thread(container.kill)
        if origin == "restarted":
            # They are in the network of the box's former life, which nothing reaches.
            await self._end_services(client, spec.name)
        await asyncio.to_thread(container.start)
        runner = await self._answering(container, spec.name, socket_path)
        return self._box(client, container, spec, runner, origin)

    async def _created(self, client: DockerClient, containers: Containers, spec: SandboxSpec) -> Container:
        try:
            return await asyncio.to_thread(containers.create, spec, spec.image or self._base_image)
        except ImageNotFound as error:
            if spec.image is not None:
                message = f"box {spec.name}: there is no image {spec.image} in the engine"
                raise ImageMissing(message) from error
        # Looked for only now: it is there nearly always, and a box that starts does not wait for the answer.
        return await asyncio.to_thread(containers.create, spec, await self._base(client))

    async def _base(self, client: DockerClient) -> str:
        return await asyncio.to_thread(ensure_base_image, client, self._base_image, self._cache)

    def _containers(self, client: DockerClient) -> Containers:
        return Containers(client, self._owner, self._run_directory, self._runtime)

    def _services(self, client: DockerClient) -> DockerServices:
        return DockerServices(client, self._owner, self._runtime)

    async def _end_services(self, client: DockerClient, name: str) -> None:
        try:
            await asyncio.to_thread(self._services(client).end, name)
        except ENGINE_ERRORS as error:
            raise SandboxFailed(f"box {name}: its services cannot be ended: {error}") from error

    def _box(
        self,
        client: DockerClient,
        container: Container,
        spec: SandboxSpec,
        runner: RunnerClient,
        origin: Origin,
    ) -> DockerSandbox:
        images, services = DockerImages(client, self._owner), self._services(client)
        return DockerSandbox(self, container, spec.name, runner, origin, images, services)

    async def _answering(self, container: Container, name: str, socket_path: Path) -> RunnerClient:
        def has_ended() -> bool:
            container.reload()
            return bool(container.status not in ("created", "running"))

        try:
            return await answering_runner(socket_path, START_SECONDS, has_ended)
        except RunnerGone as error:
            said = (await asyncio.to_thread(container.logs, tail=5)).decode("utf-8", "replace").strip()
            raise SandboxFailed(
                f"box {name}: its runner did not start. The image needs python3 (3.8 or newer). {said}"
            ) from error


def _kill(client: DockerClient, container: str) -> None:
    """The engine answers once it is dead; one that does not run, or is not there, is dead already."""
    try:
        client.api.kill(container)
    except APIError as error:
        if error.status_code not in (404, 409):
            raise SandboxFailed(f"{container} cannot be killed: {error.explanation}") from error
    except ENGINE_ERRORS as error:
        raise SandboxFailed(f"{container} cannot be killed: {error}") from error


def _make(settings: EnvironmentSettings) -> DockerEnvironment:
    return DockerEnvironment(
        run_directory=settings.directory / "run",
        base_image=settings.base_image,
        cache=settings.directory / "cache",
        base_url=settings.docker_host or DEFAULT_ENGINE,
        runtime=settings.runtime,
        registry=settings.registry,
    )


BACKEND = Backend("docker", 1, _make)
