"""Starting servers that a crashed test run cannot leave behind for good.

Every server has a directory of its own with a pid file in it. The run that uses the directory holds a file
lock, which the kernel drops when the run dies; the next run finds the lock free, ends the server by its pid
and removes the directory.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

_POLL_SECONDS = 0.02
# macOS has no /proc; there `ps` is asked.
_PROC = Path("/proc")
# Below what systems give to outgoing connections, one of which could take the number before the server does.
_PORTS = range(20_000, 32_000)
_PROBE_SECONDS = 60


class ServerDidNotStart(RuntimeError):
    """A provisioned server ended or stayed silent; the message carries the end of its log."""


class Server:
    """A server process known by its directory: `pid` and `log` lie in it, and its path is in the argv.

    directory: exists already. The path must occur in the argument vector the server is started with: that is
    how a pid read from disk is told from an unrelated process that was given the same number later.
    pid_file: its name in the directory, for a process that another program started there.
    """

    def __init__(self, directory: Path, pid_file: str = "pid") -> None:
        self.directory = directory
        self._pid_file = directory / pid_file
        self._log = directory / "log"
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The pid of the running server, or None if it is not running."""
        try:
            pid = int(self._pid_file.read_text())
        except (FileNotFoundError, ValueError):
            return None
        return pid if self._is_ours(pid) else None

    def start(
        self,
        argv: Sequence[str],
        ready: Callable[[], bool],
        *,
        timeout_seconds: float,
        user: str | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Start the server and return once `ready()` holds.

        argv: program and arguments. user: run as this user (needs root), None: as ourselves.
        environment: None means our own.

        Raises: ServerDidNotStart
        """
        with self._log.open("ab") as log:
            self._child = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                cwd=self.directory,
                env=None if environment is None else dict(environment),
                user=user,
                group=user if user is None else _primary_group(user),
                extra_groups=None if user is None else [],
            )
        self._pid_file.write_text(str(self._child.pid))
        deadline = time.monotonic() + timeout_seconds
        while not ready():
            if self._child.poll() is not None or time.monotonic() > deadline:
                self.stop(signal.SIGKILL)
                raise ServerDidNotStart(f"{Path(argv[0]).name} did not start:\n{self.log_tail()}")
            time.sleep(_POLL_SECONDS)

    def stop(self, how: signal.Signals = signal.SIGTERM, *, timeout_seconds: float = 60) -> None:
        """End the server and return once it is gone; after the timeout it is killed. Idle if not running."""
        pid = self.pid
        if pid is not None:
            _signal(pid, how)
            if not self._gone_within(pid, timeout_seconds):
                _signal(pid, signal.SIGKILL)
                if not self._gone_within(pid, timeout_seconds):
                    raise TimeoutError(f"process {pid} of {self.directory} does not end")
        self._pid_file.unlink(missing_ok=True)

    def leave(self) -> None:
        """Let the server go on running after us; whoever stops it later finds it by its pid file."""
        if self._child is not None:
            # Popen warns about a process it was never told the end of, which here is nothing to warn about.
            self._child.returncode = 0
            self._child = None

    def log_tail(self, lines: int = 20) -> str:
        """The last lines of what the server wrote."""
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-lines:])

    def _gone_within(self, pid: int, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while not self._has_ended(pid):
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL_SECONDS)
        return True

    def _has_ended(self, pid: int) -> bool:
        if self._child is not None and self._child.pid == pid:
            return self._child.poll() is not None
        # Not told by the command line: a dying process loses that first and its sockets last.
        return _state(pid) in {"", "Z", "X"} and _threads(pid) <= 1

    def _is_ours(self, pid: int) -> bool:
        if self._child is not None and self._child.pid == pid:
            return self._child.poll() is None
        return str(self.directory) in _command_line(pid)


@contextlib.contextmanager
def lock(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on the file `path` (created if missing), waiting for it as long as it takes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _kill_server(directory: Path) -> None:
    Server(directory).stop(signal.SIGKILL)


@contextlib.contextmanager
def private_directory(parent: Path, end: Callable[[Path], None] = _kill_server) -> Iterator[Path]:
    """A fresh directory under `parent` for one server; removed afterwards, like those of dead runs before.

    end: ends what runs in such a directory, before it is removed.
    """
    with lock(parent / "lock"):
        remove_abandoned(parent, end)
        directory = Path(tempfile.mkdtemp(dir=parent))
        directory.chmod(0o755)
        owner = (directory / "owner").open("w")
        fcntl.flock(owner, fcntl.LOCK_EX)
    try:
        yield directory
    finally:
        end(directory)
        shutil.rmtree(directory, ignore_errors=True)
        owner.close()


def remove_abandoned(parent: Path, end: Callable[[Path], None] = _kill_server) -> None:
    """End the servers of runs that died, and remove their directories; those of living runs stay."""
    for owner_file in parent.glob("*/owner"):
        try:
            owner = owner_file.open("r+")
        except FileNotFoundError:  # a living run is just removing its own
            continue
        with owner:
            if _locked_now(owner.fileno()):
                end(owner_file.parent)
                shutil.rmtree(owner_file.parent, ignore_errors=True)


def _locked_now(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def free_port() -> int:
    """A TCP port of the loopback address that nobody listens on, and that no other test process is given."""
    taken = Path("/tmp") / f"bellhop-{os.geteuid()}-ports"
    taken.mkdir(mode=0o700, exist_ok=True)
    while True:
        port = secrets.choice(_PORTS)
        # Stays open, and so locked, as long as this process lives.
        file = os.open(taken / str(port), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC)
        if _locked_now(file) and _can_be_bound(port):
            return port
        os.close(file)


def _can_be_bound(port: int) -> bool:
    with socket.socket() as probe:
        # As servers do, whose port may just have been another's.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def accepts(port: int) -> bool:
    """Whether something takes connections at this port of the loopback address."""
    with socket.socket() as probe:
        probe.settimeout(_PROBE_SECONDS)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _primary_group(user: str) -> int:
    return pwd.getpwnam(user).pw_gid


def _signal(pid: int, how: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, how)


def _command_line(pid: int) -> str:
    """The arguments of a process; empty if it is gone or only waits for its parent to collect it."""
    if not (_PROC / "self").exists():
        return _ps("command", pid)
    try:
        return (_PROC / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _state(pid: int) -> str:
    """The letter of a process's state (Z: ended, not collected yet); empty if it is gone.

    Source: proc_pid_stat(5): the name in parentheses may itself hold parentheses and blanks.
    """
    if not (_PROC / "self").exists():
        return _ps("stat", pid)[:1]
    try:
        return (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _threads(pid: int) -> int:
    """How many threads a process has; the first may be dead while others still hold its sockets."""
    try:
        return len(list((_PROC / str(pid) / "task").iterdir()))
    except (FileNotFoundError, ProcessLookupError):
        return 0


def _ps(column: str, pid: int) -> str:
    argv = ["ps", "-o", f"{column}=", "-p", str(pid)]
    return subprocess.run(argv, capture_output=True, text=True, check=False).stdout.strip()
