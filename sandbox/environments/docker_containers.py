"""The containers of one installation in an engine: made, found, given a door, removed. All of it blocks."""

from __future__ import annotations

import io
import secrets
import shutil
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path

from docker import DockerClient
from docker.errors import APIError, ImageNotFound, NotFound
from docker.models.containers import Container

from sandbox.environments.door_environment import door_environment, door_options
from sandbox.environments.hardening import BOX_USER, HOSTS, SECCOMP_PROFILE, BoxMount, hardened_options
from sandbox.environments.protocol import (
    DOOR,
    INBOUND,
    NAME_LABEL,
    SESSION_LABEL,
    WORKSPACE,
    ImageMissing,
    SandboxFailed,
    SandboxSpec,
)
from sandbox.environments.runner_launch import (
    HOME,
    HOSTS_FILE,
    RUNNER_MOUNT,
    SOCKET_MOUNT,
    SOCKET_NAME,
    STATE,
    placed_runner,
    runner_command,
)
from sandbox.images.base_image import READY_LABEL
from sandbox.images.machine_packages import NPM_FILE, PIP_FILE, packed, write_settings
from sandbox.runner import VERSION

# Which installation a container belongs to: several may share an engine, and none may reap another's boxes.
OWNER_LABEL = "bellhop.owner"
RUNNER_LABEL = "bellhop.runner"
# A box that moves into a new container has two for a moment; no box's name has a dot.
NEXT = ".next"
MOVED_REPOSITORY = "bellhop/moved"
SNAPSHOT_REPOSITORY = "bellhop/snapshot"
REMOVING = "removing"
"""The status of a container that the engine is about to forget."""

REMOVING_SECONDS = 60


class Containers:
    """Those of `owner`, with their sockets and their runner below `run_directory`."""

    def __init__(self, client: DockerClient, owner: str, run_directory: Path, runtime: str | None) -> None:
        self._client = client
        self._owner = owner
        self._run_directory = run_directory
        self._runtime = runtime

    def find(self, name: str) -> Container | None:
        """The container of that box, running or not."""
        found = self._get(self._title(name))
        # Only a box that was made before has a directory, and a box that starts waits for each question.
        if found is not None or not (self._run_directory / name).exists():
            return found
        if (moving := self._get(self._title(name) + NEXT)) is not None:
            # A worker died between the end of the old container and the new one's taking its name.
            moving.rename(self._title(name))
            return self._get(self._title(name))
        return None

    def create(self, spec: SandboxSpec, image: str) -> Container:
        """A new container of that image, not started. Raises: ImageMissing."""
        try:
            return self._create(spec, image, self._title(spec.name))
        except ImageNotFound as error:
            raise ImageMissing(f"box {spec.name}: there is no image {image} in the engine") from error

    def with_door(self, container: Container, spec: SandboxSpec) -> Container:
        """The box's container with the door of `spec`: itself, or one in its place that has its files.

        Mounts cannot be changed, so a box made without this door moves to a new container. What ran in it
        ends.
        """
        if spec.door is None or door_of(container) == str(spec.door.absolute()):
            return container
        self._remove(self._get(self._title(spec.name) + NEXT))
        if container.status == "running":
            self.kill(spec.name)
            container.wait()
        repository = f"{MOVED_REPOSITORY}-{self._owner}-{spec.name}"
        container.commit(repository, "1", pause=False, changes=f"LABEL {READY_LABEL}=1")
        moved = self._create(spec, f"{repository}:1", self._title(spec.name) + NEXT)
        self._remove(container)
        moved.rename(self._title(spec.name))
        return moved

    def remove(self, name: str) -> None:
        """The box's containers and socket directory are gone, with what a move left; its snapshots stay."""
        for title in (self._title(name), self._title(name) + NEXT):
            self._remove(self._get(title))
        try:
            self._client.images.remove(f"{MOVED_REPOSITORY}-{self._owner}-{name}:1")
        except ImageNotFound:
            pass
        except APIError as error:
            # Someone else is removing it.
            if error.status_code != 409:
                raise
        self._own_hosts(name).unlink(missing_ok=True)
        shutil.rmtree(self._run_directory / name, ignore_errors=True)

    def snapshot(self, name: str, tag: str) -> str:
        """An image of the box's filesystem as it is now. Raises: SandboxFailed."""
        reference = snapshot_name(self._owner, name, tag)
        changes = [f"LABEL {RUNNER_LABEL}={VERSION}", f"LABEL {READY_LABEL}=1"]
        container = self.find(name)
        if container is None:
            raise SandboxFailed(f"box {name}: no snapshot, since it is gone")
        # Pausing a busy container often fails, and git's own files are written to survive a cut.
        container.commit(*reference.rsplit(":", 1), pause=False, changes="\n".join(changes))
        return reference

    def kill(self, name: str) -> None:
        """Its container is dead; one that does not run, or is not there, is dead already."""
        try:
            self._client.api.kill(self._title(name))
        except APIError as error:
            if error.status_code not in (404, 409):
                raise

    def list(self) -> list[Container]:
        """Every box's container. An engine may serve several Bellhops; nobody sweeps another's boxes."""
        filters: dict[str, str | list[str] | bool] = {"label": [NAME_LABEL, f"{OWNER_LABEL}={self._owner}"]}
        return self._client.containers.list(all=True, filters=filters, ignore_removed=True)

    def snapshots(self) -> Sequence[str]:
        """The names of all snapshots of this installation's boxes."""
        found = self._client.api.images(name=f"{SNAPSHOT_REPOSITORY}-{self._owner}-*")
        names = (tag for image in found for tag in image["RepoTags"] or ())
        # One that is on its way to the registry has a name for that too.
        return [name for name in names if name.startswith(SNAPSHOT_REPOSITORY)]

    def _title(self, name: str) -> str:
        return container_name(self._owner, name)

    def _get(self, title: str) -> Container | None:
        try:
            found = self._client.containers.get(title)
            if found.status == REMOVING:
                # Somebody takes it away: it neither starts again nor gives its name to another before it is
                # gone.
                found.wait(timeout=REMOVING_SECONDS, condition="removed")
                return None
        except NotFound:
            return None
        return found

    def _remove(self, container: Container | None) -> None:
        try:
            if container is not None:
                container.remove(force=True, v=True)
        except APIError as error:
            # Someone else is removing it, or has.
            if error.status_code not in (404, 409):
                raise

    def _mounts(self, spec: SandboxSpec) -> tuple[BoxMount, ...]:
        sockets = self._run_directory / spec.name
        self._run_directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        sockets.mkdir(exist_ok=True)
        # The box's user makes the socket in it; the directory above keeps everyone else on the host out.
        sockets.chmod(0o777)
        (sockets / SOCKET_NAME).unlink(missing_ok=True)
        spec.inbound.mkdir(parents=True, exist_ok=True)
        runner = placed_runner(self._run_directory)
        mounts = (
            BoxMount(runner, RUNNER_MOUNT, read_only=True),
            BoxMount(self._hosts(spec, runner / HOSTS_FILE), HOSTS, read_only=True),
            BoxMount(spec.inbound.absolute(), INBOUND, read_only=True),
            BoxMount(sockets, SOCKET_MOUNT, read_only=False),
        )
        if spec.door is None:
            return mounts
        # The directory and not the socket in it, which a broker that starts again makes anew.
        return (*mounts, BoxMount(spec.door.absolute(), DOOR, read_only=True))

    def _hosts(self, spec: SandboxSpec, usual: Path) -> Path:
        """The file of names of the box: the usual one, or one of its own where it has services."""
        if not spec.hosts:
            return usual
        own = self._own_hosts(spec.name)
        own.write_text(f"{usual.read_text()}127.0.0.1 {' '.join(spec.hosts)}\n")
        own.chmod(0o644)
        return own

    def _own_hosts(self, name: str) -> Path:
        # Beside the box's directory, which the box may write to; no box's name has a dot.
        return self._run_directory / f"{name}.hosts"

    def _create(self, spec: SandboxSpec, image: str, title: str) -> Container:
        mounts, seccomp = self._mounts(spec), SECCOMP_PROFILE.read_text()
        options = ["--disk-bytes", str(spec.limits.disk_bytes), "--readable", INBOUND]
        options += ["--most-processes", str(spec.limits.pids), *door_options(spec.door)]
        container = self._client.containers.create(
            image,
            name=title,
            hostname="bellhop",
            entrypoint=runner_command(secrets.token_hex(8), *options),
            command=[],
            working_dir=WORKSPACE,
            environment={"HOME": HOME, **door_environment(spec.door, spec.hosts), **spec.env},
            labels={
                **spec.labels,
                NAME_LABEL: spec.name,
                SESSION_LABEL: spec.session_id,
                OWNER_LABEL: self._owner,
            },
            **hardened_options(spec.limits, mounts, self._runtime, seccomp),
        )
        if container.labels.get(READY_LABEL) is None:
            container.put_archive("/", own_directories())
        if spec.machine_packages:
            container.put_archive("/", _package_settings())
        return container


def container_name(owner: str, box: str) -> str:
    """What the container of that box is called in the engine."""
    return f"bellhop-{owner}-{box}"


def snapshot_name(owner: str, box: str, tag: str) -> str:
    """What a snapshot of that box is called in the engine."""
    return f"{SNAPSHOT_REPOSITORY}-{owner}-{box}:{tag}"


def door_of(container: Container) -> str | None:
    """The host's directory that the container sees as its door."""
    for mount in container.attrs["Mounts"]:
        if mount["Destination"] == DOOR:
            return str(mount["Source"])
    return None


def _package_settings() -> bytes:
    """A tar archive of this machine's settings of pip and npm, over those that a stranger's image brings.

    Which indexes a box may read is known from the machine; apt is left alone, whose sources belong to the
    image's own release.
    """
    with tempfile.TemporaryDirectory(prefix="bellhop-packages-") as directory:
        write_settings(Path(directory), "of another release")
        for file in (PIP_FILE, NPM_FILE):
            # An empty one stands in for the image's own, where this machine goes by what the tools know.
            (Path(directory) / file).parent.mkdir(parents=True, exist_ok=True)
            (Path(directory) / file).touch()
        return packed(Path(directory))


def own_directories() -> bytes:
    """A tar archive of the directories that the box's user owns, for images that lack them."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path in (WORKSPACE, STATE, HOME):
            entry = tarfile.TarInfo(path.lstrip("/"))
            entry.type, entry.mode, entry.uid, entry.gid = tarfile.DIRTYPE, 0o755, BOX_USER, BOX_USER
            archive.addfile(entry)
    return buffer.getvalue()
