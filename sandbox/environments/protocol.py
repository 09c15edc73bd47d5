"""What every sandbox backend promises: the Protocol, the data it takes and gives, its errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Literal, Protocol, Self

from sandbox.environments.images import BaseImage, ImageTag, KeptImage, WantedBase
from sandbox.environments.registry import Registry
from sandbox.environments.runner_client import BoxStats, RunnerClient
from sandbox.environments.service import ServiceSpec
from sandbox.environments.usage import Disk, FullService, HostUse

GIB = 1024**3
SESSION_LABEL = "bellhop.session"
NAME_LABEL = "bellhop.box"
PURPOSE_LABEL = "bellhop.purpose"
"""What a box is for that is no session's own: "verification" or "build"."""

WORKSPACE = "/workspace"
INBOUND = "/bellhop/in"
DOOR = "/run/bellhop-door"
DOOR_SOCKET = "door.sock"
DOOR_AUTHORITY = "authority.pem"
DOOR_SECRETS = "secrets"
DOOR_PORT = 3128
"""Where the box finds its way out: the door's directory with its socket, the certificate of the authority
that signs for every host, and the secrets it may read. The runner relays the port on its loopback to the
socket."""

Origin = Literal["adopted", "restarted", "created"]


class EnvironmentUnavailable(Exception):
    """This backend cannot give a box here, or has gone away; the message says what to do about it.

    Any method below that reaches for an engine raises it, also in the middle of what it does: what was asked
    of the engine then may or may not have happened, and can be asked again.
    """


class SandboxFailed(Exception):
    """One box could not be opened, kept or frozen; the message names the box and the cause.

    Any method below that reaches for an engine raises it when the engine refuses.
    """


class ImageMissing(SandboxFailed):
    """The image or snapshot that a box was to be made of is not there."""


@dataclass(frozen=True, slots=True)
class SandboxLimits:
    """How much of the host one box may use.

    `memory_bytes` counts swap too. `disk_bytes` caps all that is written. `open_files` is per process.
    `tmp_bytes` is the size of the private /tmp.
    """

    memory_bytes: int = 2 * GIB
    cpus: float = 2.0
    pids: int = 512
    disk_bytes: int = 8 * GIB
    open_files: int = 4096
    tmp_bytes: int = 1 * GIB


@dataclass(frozen=True, slots=True)
class SandboxSpec:
    """One box as asked for. One that is there keeps the image, the variables and the labels it was made with.

    `name` is unique on the host and stays the same through the box's replacements. `image` is an image
    or a snapshot reference of the same backend; None means the backend's base image. `inbound` is a host
    directory that the box sees read-only at `Sandbox.inbound_path`; git bundles travel through it. `door` is
    the directory that the broker made for this box alone, seen read-only at `DOOR`; None: no way out at all.
    `machine_packages`: a new box has this machine's package indexes in place of those of a stranger's image.
    `hosts` are the names of services: a new box finds itself under them.
    """

    session_id: str
    name: str
    image: str | None
    inbound: Path
    env: Mapping[str, str] = field(default_factory=dict)
    limits: SandboxLimits = field(default_factory=SandboxLimits)
    labels: Mapping[str, str] = field(default_factory=dict)
    door: Path | None = None
    machine_packages: bool = False
    hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BoxInfo:
    """A box that exists on this host, running or stopped."""

    name: str
    session_id: str
    running: bool
    labels: Mapping[str, str]


class Sandbox(Protocol):
    """One session's computer. Leaving the context closes the connection only: the box goes on."""

    @property
    def name(self) -> str: ...

    @property
    def adopted(self) -> bool:
        """True when `open` found this box already running (its processes are still there)."""
        ...

    @property
    def origin(self) -> Origin:
        """How `open` came by it: "restarted" kept the files and lost the processes, "created" is new."""
        ...

    @property
    def workspace(self) -> str:
        """Path of the workspace as seen inside the box."""
        ...

    @property
    def inbound_path(self) -> str:
        """Path of the read-only inbound directory as seen inside the box."""
        ...

    @property
    def runner(self) -> RunnerClient: ...

    async def snapshot(self, tag: str) -> str:
        """The reference of a copy of this box as it is now; see `Environment.snapshot`."""
        ...

    async def keep(self, tag: ImageTag, labels: Mapping[str, str]) -> KeptImage:
        """A repository image of the box, whose processes are ended for it: its files, but neither what was
        called there nor its environment. The same tag replaces the older image.

        Raises: EnvironmentUnavailable, SandboxFailed.
        """
        ...

    async def stop(self) -> None:
        """Ends every process and keeps the filesystem; `Environment.open` with the same name resumes it."""
        ...

    async def kill(self) -> None:
        """Ends every process at once, as after an accident; the filesystem is kept."""
        ...

    async def remove(self) -> None:
        """Nothing of the box is left, its snapshots excepted."""
        ...

    async def stats(self) -> BoxStats:
        """Processes, memory, out-of-memory kills and disk use, from inside the box."""
        ...

    async def cause_of_death(self) -> str | None:
        """One phrase ("out of memory", "killed", "exited with 1") of a box that is not running, else None."""
        ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Environment(Protocol):
    """A place that boxes are made in: a Docker engine, this machine's namespaces, …"""

    @property
    def name(self) -> str: ...

    @property
    def isolation(self) -> str:
        """One plain sentence for the status card: what separates a box from the host."""
        ...

    @property
    def forgetful(self) -> bool:
        """Whether an engine keeps the boxes' files, which may lose them; else they lie on this host's disk,
        where a copy beside them would keep nothing that they do not."""
        ...

    async def check(self) -> None:
        """Returns when boxes can be made here.

        Raises: EnvironmentUnavailable, saying what to do.
        """
        ...

    async def prepare(self) -> None:
        """Whatever the first box would have to wait for is there, such as its image; may take minutes once.

        Raises: EnvironmentUnavailable, saying what to do.
        """
        ...

    async def open(self, spec: SandboxSpec) -> Sandbox:
        """The box of that name: the running one adopted, else the stopped one started, else a new one.

        Raises: EnvironmentUnavailable, SandboxFailed; ImageMissing for a new one.
        """
        ...

    async def snapshot(self, name: str, tag: str) -> str:
        """The reference of a copy of that box as it is now, running or not; give it as `SandboxSpec.image`
        later.

        `tag` is short and plain (letters, digits, `.`, `_`, `-`); the same tag replaces the older copy.

        Raises: EnvironmentUnavailable, SandboxFailed.
        """
        ...

    async def list(self) -> Sequence[BoxInfo]:
        """Every box that was made with this backend's own directory, running or not.

        Raises: EnvironmentUnavailable, SandboxFailed.
        """
        ...

    async def find(self, name: str) -> BoxInfo | None:
        """That box, running or not; None when there is none. Cheaper than the list.

        Raises: EnvironmentUnavailable.
        """
        ...

    async def end(self, name: str) -> None:
        """Every process of the box of that name is dead, its files stay; no error when nothing runs.

        Raises: EnvironmentUnavailable, SandboxFailed.
        """
        ...

    async def remove(self, name: str) -> None:
        """The box of that name is gone, with everything that ran in it; no error when there is none.

        Raises: EnvironmentUnavailable, SandboxFailed.
        """
        ...

    async def open_service(self, box: str, service: ServiceSpec) -> bool:
        """The service runs beside the running box of that name, and answers there on the loopback; whether
        it began only now. It is gone when the box is stopped, ended or removed.

        Raises: ServiceFailed, EnvironmentUnavailable, SandboxFailed.
        """
        ...

    async def sweep_services(self) -> int:
        """How many services were removed because their box is gone, or does not run.

        Raises: EnvironmentUnavailable, SandboxFailed.
        """
        ...

    async def end_full_services(self, most_bytes: int) -> Sequence[FullService]:
        """The services that had written more than that beside their volumes, and are gone for it.

        Raises: EnvironmentUnavailable, SandboxFailed.
        """
        ...

    async def usage(self) -> HostUse:
        """What all of this backend's boxes, services and copies use now; takes seconds where there are many.

        Raises: EnvironmentUnavailable, SandboxFailed.
        """
        ...

    async def disks(self) -> Sequence[Disk]:
        """The disks that boxes and copies lie on, as far as this process sees them.

        Raises: EnvironmentUnavailable, SandboxFailed.
        """
        ...

    async def snapshots(self) -> Sequence[str]:
        """The references of all snapshots that were taken here, whoever still knows of them.

        Raises: EnvironmentUnavailable, SandboxFailed.
        """
        ...

    async def remove_snapshot(self, reference: str) -> None:
        """The snapshot is gone; no error when there is none.

        Raises: EnvironmentUnavailable, SandboxFailed.
        """
        ...

    async def place(self) -> str:
        """What tells this host's images and snapshots from those of all others: they lie nowhere else but in
        the registry.

        Raises: EnvironmentUnavailable, SandboxFailed.
        """
        ...

    async def base(self, wanted: WantedBase) -> BaseImage:
        """The image that boxes are to be made from, there to be used; may take minutes.

        Raises: ImageUnavailable, EnvironmentUnavailable, SandboxFailed.
        """
        ...

    async def images(self) -> Sequence[KeptImage]:
        """Every repository image that was kept here. Raises: EnvironmentUnavailable, SandboxFailed."""
        ...

    async def remove_image(self, reference: str) -> None:
        """The repository image is gone; no error when there is none. Boxes that stand on it keep what they
        have.

        Raises: EnvironmentUnavailable, SandboxFailed.
        """
        ...

    @property
    def registry(self) -> Registry | None:
        """Where images and snapshots are shared with other hosts; None: nowhere."""
        ...

    async def aclose(self) -> None:
        """Closes connections; boxes go on."""
        ...
