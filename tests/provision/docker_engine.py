"""A Docker engine for the tests: the one that answers, else a private `dockerd` shared by all running tests.

The private engine keeps its images under `.cache/provision/docker`, so that a base image is built once. It
has no bridge and touches no firewall rule: the boxes under test have no network anyway.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import docker
from docker.errors import DockerException

from tests.provision import processes
from tests.provision.places import CACHE, short_directory

_START_TIMEOUT_SECONDS = 120
_STOP_TIMEOUT_SECONDS = 60
# Who takes a slow engine for a dead one ends it under its other users.
_PING_TIMEOUT_SECONDS = 60
SECOND_RUNTIME = "bellhop-second"
# What every engine has: its usual runtime by the name of the shim.
OTHER_NAME = "io.containerd.runc.v2"
RUNTIME_VARIABLE = "BELLHOP_TEST_RUNTIME"
"""Names a container runtime that the contract of boxes is tried under too, such as runsc."""
_DEFAULT_HOST = "unix:///var/run/docker.sock"


def answering_host() -> str | None:
    """The address of an engine that already runs on this machine (`DOCKER_HOST` first), or None."""
    host = os.environ.get("DOCKER_HOST") or _DEFAULT_HOST
    return host if answers(host) else None


def answers(host: str) -> bool:
    """Whether a Docker engine answers at this address."""
    # Asked by hand first: the SDK leaves its socket unclosed when a connection is refused.
    if host.startswith("unix://") and not _listens(host.removeprefix("unix://")):
        return False
    try:
        client = docker.DockerClient(base_url=host, timeout=_PING_TIMEOUT_SECONDS)
    except DockerException:
        return False
    with contextlib.closing(client):
        try:
            return client.ping()
        except (DockerException, OSError):
            return False


def _listens(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(_PING_TIMEOUT_SECONDS)
        return probe.connect_ex(path) == 0


def can_be_started() -> bool:
    """Whether this machine and this user can run a private engine."""
    return os.geteuid() == 0 and shutil.which("dockerd", path=_program_path()) is not None


@contextlib.contextmanager
def engine() -> Iterator[str]:
    """The address of a Docker engine to test with.

    Raises: processes.ServerDidNotStart if none answers and a private one does not come up.
    """
    host = answering_host()
    if host is not None:
        yield host
        return
    with shared_engine(CACHE / "docker", short_directory() / "docker") as private_host:
        yield private_host


def another_runtime(host: str) -> str:
    """A name of a container runtime of that engine which is not the name of its default."""
    with contextlib.closing(docker.DockerClient(base_url=host)) as client:
        told = client.info()
    return SECOND_RUNTIME if SECOND_RUNTIME in told["Runtimes"] else OTHER_NAME


class DockerEngine:
    """A private `dockerd`: images in `data`, sockets and state in `run`, whose path must be short.

    `live_restore`: whether containers outlive it; what is set counts from the next start on.
    """

    def __init__(self, data: Path, run: Path) -> None:
        run.mkdir(parents=True, exist_ok=True)
        self.live_restore = False
        self.data = data
        self._run = run
        self._server = processes.Server(run)
        self._containerd = processes.Server(run / "exec" / "containerd", "containerd.pid")
        self.host = f"unix://{run}/docker.sock"

    @property
    def pid(self) -> int | None:
        """The engine's pid, None while it is not running."""
        return self._server.pid

    def start(self) -> None:
        """Start the engine and return once it answers; does nothing if it runs.

        Raises: processes.ServerDidNotStart
        """
        if self.pid is not None and answers(self.host):
            return
        self._server.stop(signal.SIGKILL)
        # A leftover pid file stops dockerd from starting once that number belongs to any other process.
        (self._run / "docker.pid").unlink(missing_ok=True)
        # And one of a containerd that is dying, or dead and not collected, makes dockerd wait for it in vain.
        self._containerd.stop(signal.SIGKILL)
        argv = ["dockerd", "--data-root", str(self.data), "--exec-root", str(self._run / "exec")]
        argv += ["--host", self.host, "--pidfile", str(self._run / "docker.pid")]
        argv += ["--config-file", str(self._configuration())]
        # Should the machine's own containerd run, dockerd uses that one: keep apart from what is in it.
        argv += ["--containerd-namespace", "bellhop-tests"]
        argv += ["--bridge=none", "--iptables=false", "--ip6tables=false"]
        environment = {**os.environ, "PATH": _program_path(), "TMPDIR": str(self._run)}
        self._server.start(
            argv, lambda: answers(self.host), timeout_seconds=_START_TIMEOUT_SECONDS, environment=environment
        )

    def stop(self) -> None:
        """Stop the engine with its containers and its containerd; images stay."""
        self._server.stop(signal.SIGTERM, timeout_seconds=_STOP_TIMEOUT_SECONDS)
        # In a chroot, and in a container on a volume, dockerd leaves its data folder mounted over itself.
        _unmount_below(self.data, self._run)

    def kill(self) -> None:
        """End the engine the way a crash would; its containers keep running until `start` finds them."""
        self._server.stop(signal.SIGKILL)

    def leave(self) -> None:
        """Let the engine go on running after us, for its other users."""
        self._server.leave()

    def remove_leftovers(self) -> None:
        """Remove every container, and images without a name: of a private engine all of them are ours."""
        with contextlib.closing(docker.DockerClient(base_url=self.host)) as client:
            for container in client.containers.list(all=True):
                container.remove(force=True, v=True)
            client.images.prune(filters={"dangling": True})

    def _configuration(self) -> Path:
        # A file of our own, or dockerd would read the machine's /etc/docker/daemon.json.
        path = self._run / "daemon.json"
        said = {"runtimes": _runtimes(), "live-restore": self.live_restore}
        path.write_text(json.dumps(said) + "\n")
        return path


@contextlib.contextmanager
def shared_engine(data: Path, run: Path) -> Iterator[str]:
    """A private engine's address; its first user starts it and its last stops it, whichever runs those are.

    Raises: processes.ServerDidNotStart
    """
    data.mkdir(parents=True, exist_ok=True)
    private = DockerEngine(data, run)
    with (run / "users").open("w") as users:
        with processes.lock(run / "change"):
            first = _lock_now(users.fileno(), fcntl.LOCK_EX)
            private.start()
            if first:
                private.remove_leftovers()
            fcntl.flock(users, fcntl.LOCK_SH)
        try:
            yield private.host
        finally:
            with processes.lock(run / "change"):
                fcntl.flock(users, fcntl.LOCK_UN)
                if _lock_now(users.fileno(), fcntl.LOCK_EX):
                    private.stop()
                else:
                    private.leave()


@contextlib.contextmanager
def second_engine() -> Iterator[DockerEngine]:
    """A further private engine, for one test at a time: it may stop and start it. Its images stay for later.

    Raises: processes.ServerDidNotStart
    """
    run = short_directory() / "docker-2"
    with processes.lock(run / "users"):
        private = DockerEngine(CACHE / "docker-2", run)
        (CACHE / "docker-2").mkdir(parents=True, exist_ok=True)
        private.start()
        try:
            private.remove_leftovers()
            yield private
        finally:
            private.stop()


@contextlib.contextmanager
def own_engine(disk_bytes: int, disk_files: int) -> Iterator[tuple[DockerEngine, Path]]:
    """An engine of this run alone, which a test may hurt, and a directory that goes with it.

    It is not started. Its disk, which is memory, is mounted at `disk` in the directory; others may be too.
    """
    made: list[DockerEngine] = []

    def end(directory: Path) -> None:
        # Whoever started it has to collect it too.
        _end_own(directory, *made)

    with processes.private_directory(short_directory() / "own", end) as directory:
        mount_memory(directory / "disk", disk_bytes, disk_files)
        made.append(_own(directory))
        yield made[0], directory


def mount_memory(point: Path, most_bytes: int, most_files: int) -> None:
    """A disk with room for so many bytes and files, in memory, mounted at a new directory."""
    point.mkdir()
    options = f"size={most_bytes},nr_inodes={most_files}"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(point)], check=True)


def _own(directory: Path) -> DockerEngine:
    return DockerEngine(directory / "disk" / "data", directory / "run")


def _end_own(directory: Path, engine: DockerEngine | None = None) -> None:
    if _mounts_below(directory / "disk"):
        own = engine or _own(directory)
        # An engine that was killed finds its containers when it starts, and only then can they be ended.
        own.start()
        own.remove_leftovers()
        own.stop()
    _unmount_below(directory)


def stop_abandoned() -> None:
    """Stop the private engines of this checkout that run though no test uses them."""
    processes.remove_abandoned(short_directory() / "own", _end_own)
    for name in ("docker", "docker-2"):
        run = short_directory() / name
        if not run.exists():
            continue
        with processes.lock(run / "change"), (run / "users").open("w") as users:
            if _lock_now(users.fileno(), fcntl.LOCK_EX):
                DockerEngine(CACHE / name, run).stop()


def _runtimes() -> dict[str, dict[str, str]]:
    """The usual runtime under a second name, and the one that the tests were asked for, where it is here."""
    found = {SECOND_RUNTIME: {"path": "runc"}}
    asked = os.environ.get(RUNTIME_VARIABLE, "")
    if asked and (path := shutil.which(asked, path=_program_path())) is not None:
        found[asked] = {"path": path}
    return found


def _mounts_below(*folders: Path) -> list[str]:
    """The mount points at or below the folders, innermost first.

    Source: proc_pid_mountinfo(5): the fifth field is the mount point.
    """
    points = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    inside = [point for point in points if any(Path(point).is_relative_to(folder) for folder in folders)]
    return sorted(inside, key=len, reverse=True)


def _unmount_below(*folders: Path) -> None:
    for mount in _mounts_below(*folders):
        ended = subprocess.run(["umount", "--lazy", mount], check=False, capture_output=True, text=True)
        # What is just ending may have done it in the meantime.
        if mount in _mounts_below(*folders):
            ended.check_returncode()


def _lock_now(file: int, kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _program_path() -> str:
    # dockerd and iptables lie in sbin, which is not on everybody's path.
    return os.pathsep.join([os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin", "/sbin"])
