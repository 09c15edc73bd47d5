"""Boxes that are containers of a Docker engine on this host."""

from __future__ import annotations

import asyncio
import hashlib
import io
import re
import secrets
import shutil
import tarfile
from collections.abc import Sequence
from pathlib import Path

from docker import DockerClient
from docker.errors import APIError, DockerException, ImageNotFound, NotFound
from docker.models.containers import Container

from sandbox.environments.choice import Backend, EnvironmentSettings
from sandbox.environments.docker_box import ENGINE_ERRORS, DockerSandbox
from sandbox.environments.hardening import BOX_USER, SECCOMP_PROFILE, BoxMount, hardened_options
from sandbox.environments.protocol import (
    INBOUND,
    NAME_LABEL,
    SESSION_LABEL,
    WORKSPACE,
    BoxInfo,
    EnvironmentUnavailable,
    Origin,
    SandboxFailed,
    SandboxSpec,
)
from sandbox.environments.runner_client import RunnerClient, RunnerGone
from sandbox.environments.runner_launch import (
    HOME,
    RUNNER_MOUNT,
    SOCKET_MOUNT,
    SOCKET_NAME,
    STATE,
    adopted_runner,
    answering_runner,
    placed_runner,
    runner_command,
)
from sandbox.images.base_image import READY_LABEL, ensure_base_image

# Which installation a container belongs to: several may share an engine, and none may reap another's boxes.
OWNER_LABEL = "bellhop.owner"
NAMES = re.compile(r"[a-z0-9][a-z0-9-]{0,50}")
DEFAULT_ENGINE = "unix:///var/run/docker.sock"
START_SECONDS = 30.0


class DockerEnvironment:
    """Containers of the engine at `base_url`, which runs on this host.

    `run_directory` holds one directory per box with its socket; the engine must see it under the same path.
    `base_image` is made on first use, `cache` keeps what that takes. `runtime` is another container runtime
    of the engine, such as runsc.
    """

    def __init__(
        self,
        *,
        run_directory: Path,
        base_image: str,
        cache: Path,
        base_url: str = DEFAULT_ENGINE,
        runtime: str | None = None,
    ) -> None:
        self._run_directory = run_directory.absolute()
        self._base_image = base_image
        self._cache = cache
        self._base_url = base_url
        self._runtime = runtime
        self._owner = hashlib.sha256(str(self._run_directory).encode()).hexdigest()[:8]
        self._client: DockerClient | None = None
        self._opening: dict[str, asyncio.Lock] = {}

    @property
    def name(self) -> str:
        return "docker"

    @property
    def isolation(self) -> str:
        runtime = f" under {self._runtime}" if self._runtime else ""
        return f"A container of its own{runtime}: no network, no privileges, a filtered kernel surface."

    async def check(self) -> None:
        """Returns when the engine answers. Raises: EnvironmentUnavailable."""
        await asyncio.to_thread(self._engine)

    async def prepare(self) -> None:
        """The base image is there; without a registry it is put together, which takes a minute or two once.

        Raises: EnvironmentUnavailable.
        """
        client = await asyncio.to_thread(self._engine)
        await asyncio.to_thread(ensure_base_image, client, self._base_image, self._cache)

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

    async def end(self, name: str) -> None:
        """The container was killed; its filesystem stays. Raises: EnvironmentUnavailable, SandboxFailed."""
        client = await asyncio.to_thread(self._engine)
        await asyncio.to_thread(_kill, client, f"bellhop-{self._owner}-{name}")

    async def remove(self, name: str) -> None:
        """The container and its socket directory are gone. Raises: EnvironmentUnavailable."""
        client = await asyncio.to_thread(self._engine)
        container = await asyncio.to_thread(_find, client, name, self._owner)
        if container is not None:
            await asyncio.to_thread(_remove, container)
        await asyncio.to_thread(shutil.rmtree, self._run_directory / name, ignore_errors=True)

    async def remove_snapshot(self, reference: str) -> None:
        """The image is gone. Raises: EnvironmentUnavailable, SandboxFailed while a box stands on it."""
        client = await asyncio.to_thread(self._engine)
        try:
            await asyncio.to_thread(client.images.remove, reference)
        except ImageNotFound:
            return
        except APIError as error:
            raise SandboxFailed(f"snapshot {reference} cannot be removed: {error.explanation}") from error

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
        container = await asyncio.to_thread(_find, client, spec.name, self._owner)
        socket_path = self._run_directory / spec.name / SOCKET_NAME
        origin: Origin = "restarted"
        if container is None:
            container = await asyncio.to_thread(self._create, client, spec)
            origin = "created"
        elif container.status == "running":
            try:
                runner = await adopted_runner(socket_path)
                return self._box(container, spec, runner, "adopted")
            except RunnerGone:
                await asyncio.to_thread(container.kill)
        await asyncio.to_thread(container.start)
        runner = await self._answering(container, spec.name, socket_path)
        return self._box(container, spec, runner, origin)

    def _box(
        self, container: Container, spec: SandboxSpec, runner: RunnerClient, origin: Origin
    ) -> DockerSandbox:
        return DockerSandbox(self, container, spec.name, runner, origin, self._owner)

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

    def _create(self, client: DockerClient, spec: SandboxSpec) -> Container:
        image = spec.image or ensure_base_image(client, self._base_image, self._cache)
        sockets = self._run_directory / spec.name
        self._run_directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        sockets.mkdir(exist_ok=True)
        # The box's user makes the socket in it; the directory above keeps everyone else on the host out.
        sockets.chmod(0o777)
        (sockets / SOCKET_NAME).unlink(missing_ok=True)
        spec.inbound.mkdir(parents=True, exist_ok=True)
        mounts = (
            BoxMount(placed_runner(self._run_directory), RUNNER_MOUNT, read_only=True),
            BoxMount(spec.inbound.absolute(), INBOUND, read_only=True),
            BoxMount(sockets, SOCKET_MOUNT, read_only=False),
        )
        seccomp = SECCOMP_PROFILE.read_text()
        options = ["--disk-bytes", str(spec.limits.disk_bytes), "--readable", INBOUND]
        try:
            container = client.containers.create(
                image,
                name=f"bellhop-{self._owner}-{spec.name}",
                hostname="bellhop",
                entrypoint=runner_command(secrets.token_hex(8), *options),
                command=[],
                working_dir=WORKSPACE,
                environment={"HOME": HOME, **spec.env},
                labels={
                    **spec.labels,
                    NAME_LABEL: spec.name,
                    SESSION_LABEL: spec.session_id,
                    OWNER_LABEL: self._owner,
                },
                **hardened_options(spec.limits, mounts, self._runtime, seccomp),
            )
        except ImageNotFound as error:
            raise SandboxFailed(f"box {spec.name}: there is no image {image} in the engine") from error
        if container.labels.get(READY_LABEL) is None:
            container.put_archive("/", own_directories())
        return container


def own_directories() -> bytes:
    """A tar archive of the directories that the box's user owns, for images that lack them."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path in (WORKSPACE, STATE, HOME):
            entry = tarfile.TarInfo(path.lstrip("/"))
            entry.type, entry.mode, entry.uid, entry.gid = tarfile.DIRTYPE, 0o755, BOX_USER, BOX_USER
            archive.addfile(entry)
    return buffer.getvalue()


def _find(client: DockerClient, name: str, owner: str) -> Container | None:
    try:
        return client.containers.get(f"bellhop-{owner}-{name}")
    except NotFound:
        return None


def _kill(client: DockerClient, container: str) -> None:
    """The engine answers once it is dead; one that does not run, or is not there, is dead already."""
    try:
        client.api.kill(container)
    except APIError as error:
        if error.status_code not in (404, 409):
            raise SandboxFailed(f"{container} cannot be killed: {error.explanation}") from error
    except ENGINE_ERRORS as error:
        raise SandboxFailed(f"{container} cannot be killed: {error}") from error


def _remove(container: Container) -> None:
    try:
        container.remove(force=True, v=True)
    except APIError as error:
        # Someone else is removing it, or has.
        if error.status_code not in (404, 409):
            raise


def _make(settings: EnvironmentSettings) -> DockerEnvironment:
    return DockerEnvironment(
        run_directory=settings.directory / "run",
        base_image=settings.base_image,
        cache=settings.directory / "cache",
        base_url=settings.docker_host or DEFAULT_ENGINE,
        runtime=settings.runtime,
    )


BACKEND = Backend("docker", 1, _make)
