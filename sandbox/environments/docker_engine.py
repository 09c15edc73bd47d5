"""Boxes that are containers of a Docker engine on this host."""

from __future__ import annotations

import asyncio
import hashlib
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

from docker import DockerClient
from docker.models.containers import Container

from sandbox.environments.choice import Backend, EnvironmentSettings
from sandbox.environments.docker_box import DockerSandbox
from sandbox.environments.docker_connection import DEFAULT_ENGINE, Engine
from sandbox.environments.docker_containers import Containers
from sandbox.environments.docker_images import DockerImages
from sandbox.environments.docker_registry import DockerRegistry
from sandbox.environments.docker_services import DockerServices
from sandbox.environments.docker_usage import DockerUsage
from sandbox.environments.images import BaseImage, KeptImage, WantedBase
from sandbox.environments.openings import Openings
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
from sandbox.environments.usage import Disk, FullService, HostUse, disks_of
from sandbox.images.base_image import ensure_base_image

NAMES = re.compile(r"[a-z0-9][a-z0-9-]{0,50}")
START_SECONDS = 60.0
# A runtime may be named by its shim, which the engine looks for only when a box starts.
SHIM = "io.containerd."


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
        self._engine = Engine(base_url)
        self._runtime = runtime
        self._owner = hashlib.sha256(str(self._run_directory).encode()).hexdigest()[:8]
        self._registry = DockerRegistry(self._engine, registry, self._owner, logins) if registry else None
        self._openings: Openings[DockerSandbox] = Openings()

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
        """Returns when the engine answers and knows the runtime. Raises: EnvironmentUnavailable,
        SandboxFailed."""
        await self._engine.check()
        if self._runtime is None or self._runtime.startswith(SHIM):
            return
        known = (await self._engine.about()).get("Runtimes") or {}
        if self._runtime not in known:
            raise EnvironmentUnavailable(
                f"The Docker engine knows no runtime {self._runtime!r}, only {', '.join(sorted(known))}: "
                'install it, name it under "runtimes" in the daemon.json of the engine and restart that, or '
                "correct SANDBOX_RUNTIME."
            )

    async def prepare(self) -> None:
        """The base image is there; without a registry it is put together, which takes a minute or two once.

        Raises: EnvironmentUnavailable, SandboxFailed.
        """
        await self._base(await self._engine.client())

    async def open(self, spec: SandboxSpec) -> DockerSandbox:
        """The box of that name, adopted, restarted or created.

        Raises: EnvironmentUnavailable, SandboxFailed; ImageMissing for a new one.
        """
        if not NAMES.fullmatch(spec.name):
            raise SandboxFailed(f"{spec.name!r} cannot name a box: use a-z, 0-9 and -, at most 51")
        return await self._openings.open(spec.name, lambda: self._open(spec))

    async def list(self) -> Sequence[BoxInfo]:
        """Every box made with this run directory. Raises: EnvironmentUnavailable, SandboxFailed."""
        containers = self._containers(await self._engine.client())
        found = await self._engine.call("boxes cannot be listed", containers.list)
        return [_info(box) for box in found]

    async def find(self, name: str) -> BoxInfo | None:
        """That box, looked up by its container's name. Raises: EnvironmentUnavailable, SandboxFailed."""
        containers = self._containers(await self._engine.client())
        found = await self._engine.call(f"box {name} cannot be looked up", containers.find, name)
        return _info(found) if found is not None else None

    async def snapshot(self, name: str, tag: str) -> str:
        """An image of the container's filesystem, made without pausing it.

        Raises: EnvironmentUnavailable, SandboxFailed.
        """
        containers = self._containers(await self._engine.client())
        return await self._engine.call(f"box {name}: no snapshot", containers.snapshot, name, tag)

    async def end(self, name: str) -> None:
        """The container and its services were killed; its filesystem stays. Raises: EnvironmentUnavailable,
        SandboxFailed."""
        client = await self._engine.client()
        await self._engine.call(f"box {name} cannot be killed", self._containers(client).kill, name)
        await self._end_services(client, name)

    async def remove(self, name: str) -> None:
        """The container, its services and its socket directory are gone. Raises: EnvironmentUnavailable,
        SandboxFailed."""
        client = await self._engine.client()
        async with self._openings.alone(name):
            await self._engine.call(f"box {name} cannot be removed", self._containers(client).remove, name)
            await self._end_services(client, name)

    async def open_service(self, box: str, service: ServiceSpec) -> bool:
        """The service runs in a container in the box's network. Raises: ServiceFailed,
        EnvironmentUnavailable, SandboxFailed."""
        services = self._services(await self._engine.client())
        failing = f"box {box}: the service {service.name} cannot be started"
        return await self._engine.call(failing, services.open, box, service)

    async def sweep_services(self) -> int:
        """Services of boxes that do not run are gone. Raises: EnvironmentUnavailable, SandboxFailed."""
        services = self._services(await self._engine.client())
        return await self._engine.call("services without a box cannot be removed", services.sweep)

    async def end_full_services(self, most_bytes: int) -> Sequence[FullService]:
        """Services whose own layer was larger are gone. Raises: EnvironmentUnavailable, SandboxFailed."""
        services = self._services(await self._engine.client())
        return await self._engine.call("full services cannot be ended", services.end_full, most_bytes)

    async def usage(self) -> HostUse:
        """As the engine counts it. Raises: EnvironmentUnavailable, SandboxFailed."""
        usage = DockerUsage(await self._engine.client(), self._owner)
        return await self._engine.call("the engine does not tell what is used", usage.read)

    async def disks(self) -> Sequence[Disk]:
        """That of the engine's data, where it can be seen from here, and that of the run directory.

        Raises: EnvironmentUnavailable, SandboxFailed.
        """
        root = (await self._engine.about())["DockerRootDir"]
        self._run_directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        return await asyncio.to_thread(disks_of, (Path(root), self._run_directory))

    async def snapshots(self) -> Sequence[str]:
        """The names of the images. Raises: EnvironmentUnavailable, SandboxFailed."""
        containers = self._containers(await self._engine.client())
        return await self._engine.call("snapshots cannot be listed", containers.snapshots)

    async def remove_snapshot(self, reference: str) -> None:
        """The image is gone, or goes with the last box that stands on it.

        Raises: EnvironmentUnavailable, SandboxFailed.
        """
        images = DockerImages(await self._engine.client(), self._owner)
        await self._engine.call(f"{reference} cannot be removed", images.remove, reference)

    async def place(self) -> str:
        """This installation in this very engine. Raises: EnvironmentUnavailable, SandboxFailed."""
        return f"docker:{(await self._engine.about())['ID'][:36]}:{self._owner}"

    async def base(self, wanted: WantedBase) -> BaseImage:
        """The engine's copy of what is wanted, fetched or built. Raises: ImageUnavailable,
        EnvironmentUnavailable, SandboxFailed."""
        client = await self._engine.client()
        images = DockerImages(client, self._owner)
        if wanted.build is not None:
            failing = f"the image of {wanted.build.name} cannot be built"
            with tempfile.TemporaryDirectory(prefix="bellhop-context-") as directory:
                archive = Path(directory) / "context.tar"
                await wanted.build.context(archive)
                return await self._engine.call(failing, images.built, wanted.build, archive)
        name = wanted.image or await self._base(client)
        return await self._engine.call(f"the image {name} cannot be had", images.named, name)

    async def images(self) -> Sequence[KeptImage]:
        """Every repository image of this run directory's. Raises: EnvironmentUnavailable, SandboxFailed."""
        images = DockerImages(await self._engine.client(), self._owner)
        return await self._engine.call("images cannot be listed", images.list)

    async def remove_image(self, reference: str) -> None:
        """The same as for a snapshot. Raises: EnvironmentUnavailable, SandboxFailed."""
        await self.remove_snapshot(reference)

    @property
    def registry(self) -> DockerRegistry | None:
        return self._registry

    async def aclose(self) -> None:
        """Closes the connection to the engine; boxes go on."""
        await self._engine.aclose()

    async def _open(self, spec: SandboxSpec) -> DockerSandbox:
        client, failing = await self._engine.client(), f"box {spec.name} cannot be opened"
        containers = self._containers(client)
        container = await self._engine.call(failing, containers.find, spec.name)
        socket_path = self._run_directory / spec.name / SOCKET_NAME
        origin: Origin = "created" if container is None else "restarted"
        if container is None:
            container = await self._created(client, containers, spec)
        else:
            container = await self._engine.call(failing, containers.with_door, container, spec)
        if container.status == "running":
            try:
                runner = await adopted_runner(socket_path)
                return self._box(client, container, spec, runner, "adopted")
            except RunnerGone:
                # It may be dying, of which the engine hears a moment later than whoever spoke to it.
                await self._engine.call(failing, containers.kill, spec.name)
        if origin == "restarted":
            # They are in the network of the box's former life, which nothing reaches.
            await self._end_services(client, spec.name)
        await self._engine.call(failing, container.start)
        runner = await self._answering(container, spec.name, socket_path)
        return self._box(client, container, spec, runner, origin)

    async def _created(self, client: DockerClient, containers: Containers, spec: SandboxSpec) -> Container:
        failing = f"box {spec.name} cannot be created"
        try:
            image = spec.image or self._base_image
            return await self._engine.call(failing, containers.create, spec, image)
        except ImageMissing:
            if spec.image is not None:
                raise
        # Looked for only now: it is there nearly always, and a box that starts does not wait for the answer.
        return await self._engine.call(failing, containers.create, spec, await self._base(client))

    async def _base(self, client: DockerClient) -> str:
        name = self._base_image
        failing = f"the base image {name} cannot be had"
        return await self._engine.call(failing, ensure_base_image, client, name, self._cache)

    def _containers(self, client: DockerClient) -> Containers:
        return Containers(client, self._owner, self._run_directory, self._runtime)

    def _services(self, client: DockerClient) -> DockerServices:
        return DockerServices(client, self._owner, self._runtime)

    async def _end_services(self, client: DockerClient, name: str) -> None:
        failing = f"box {name}: its services cannot be ended"
        await self._engine.call(failing, self._services(client).end, name)

    def _box(
        self,
        client: DockerClient,
        container: Container,
        spec: SandboxSpec,
        runner: RunnerClient,
        origin: Origin,
    ) -> DockerSandbox:
        images, services = DockerImages(client, self._owner), self._services(client)
        return DockerSandbox(self, self._engine, container, spec.name, runner, origin, images, services)

    async def _answering(self, container: Container, name: str, socket_path: Path) -> RunnerClient:
        def has_ended() -> bool:
            with self._engine.asking(f"box {name} does not answer"):
                container.reload()
            return bool(container.status not in ("created", "running"))

        try:
            return await answering_runner(socket_path, START_SECONDS, has_ended)
        except RunnerGone as error:
            logs = await self._engine.call(f"box {name}: its runner did not start", container.logs, tail=5)
            said = logs.decode("utf-8", "replace").strip()
            raise SandboxFailed(
                f"box {name}: its runner did not start. The image needs python3 (3.8 or newer). {said}"
            ) from error


def _info(box: Container) -> BoxInfo:
    return BoxInfo(
        name=box.labels[NAME_LABEL],
        session_id=box.labels.get(SESSION_LABEL, ""),
        running=box.status == "running",
        labels=dict(box.labels),
    )


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
