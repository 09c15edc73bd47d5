"""A private PostgreSQL server: throwaway data, no durability, loopback only."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import subprocess
from pathlib import Path

from tests.provision import processes
from tests.provision.places import short_directory

_START_TIMEOUT_SECONDS = 120
_SUPERUSER = "bellhop"

# Nothing here must survive a power cut, and forcing pages to disk is most of the cost of a small commit.
# What survives a killed server stays as it is in production: commits remain synchronous.
_SETTINGS = (
    "fsync=off",
    "full_page_writes=off",
    "shared_buffers=64MB",
    "max_connections=100",
    "unix_socket_directories=",
)


def programs_directory() -> Path | None:
    """Where `initdb`, `postgres` and `psql` lie, newest version first; None if the machine has no server."""
    on_path = shutil.which("initdb")
    if on_path and (Path(on_path).resolve().parent / "postgres").exists():
        return Path(on_path).resolve().parent
    # Debian keeps each major version in a directory of its own, none of them on the path.
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: path.parts[-3])
    return versions[-1].parent if versions else None


class PostgresServer:
    """One PostgreSQL server in one directory: start, stop, kill and start again over the same data.

    directory: exists; the server's user must be able to reach it. port: None picks a free one.
    """

    def __init__(self, directory: Path, *, port: int | None = None) -> None:
        programs = programs_directory()
        if programs is None:
            raise FileNotFoundError("no PostgreSQL server on this machine: install the package postgresql")
        self._programs = programs
        self._data = directory / "data"
        self._server = processes.Server(directory)
        self._user = _unprivileged_user()
        self.port = port or processes.free_port()

    @property
    def url(self) -> str:
        """Address of the maintenance database, as `postgres://user@host:port/postgres`."""
        return self._url("postgres")

    @property
    def pid(self) -> int | None:
        """The server's pid, None while it is not running."""
        return self._server.pid

    def start(self) -> None:
        """Create the cluster if the directory has none, start the server, return once it takes queries.

        Raises: processes.ServerDidNotStart, subprocess.CalledProcessError (from initdb)
        """
        if not self._data.exists():
            self._create_cluster()
        argv = [str(self._programs / "postgres"), "-D", str(self._data), "-h", "127.0.0.1"]
        argv += ["-p", str(self.port)]
        for setting in _SETTINGS:
            argv += ["-c", setting]
        self._server.start(argv, self._ready, timeout_seconds=_START_TIMEOUT_SECONDS, user=self._user)

    def stop(self) -> None:
        """End the server at once; sessions are cut, the data stays."""
        self._server.stop(signal.SIGINT)

    def kill(self) -> None:
        """End the server without a checkpoint, as a crash would; `start` then recovers from the log.

        SIGQUIT and not SIGKILL: that would leave backends behind that keep the next start waiting.
        Source: PostgreSQL manual, "Shutting Down the Server".
        """
        self._server.stop(signal.SIGQUIT)

    def create_database(self, like: str | None = None) -> str:
        """The address of a new database: empty, or a copy of the one at the address `like`."""
        name = f"test_{secrets.token_hex(6)}"
        template = "template1" if like is None else like.rpartition("/")[2]
        self._query(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return self._url(name)

    def drop_database(self, url: str) -> None:
        """Remove a database made by `create_database`, cutting whoever is still connected."""
        self._query(f'DROP DATABASE "{url.rpartition("/")[2]}" WITH (FORCE)')

    def _url(self, database: str) -> str:
        return f"postgres://{_SUPERUSER}@127.0.0.1:{self.port}/{database}"

    def _ready(self) -> bool:
        probe = [str(self._programs / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(probe, check=False).returncode == 0

    def _query(self, statement: str) -> None:
        psql = [str(self._programs / "psql"), "-XqAt", "-v", "ON_ERROR_STOP=1", "-d", self.url]
        subprocess.run([*psql, "-c", statement], check=True, capture_output=True, text=True)

    def _create_cluster(self) -> None:
        self._data.mkdir(mode=0o700)
        if self._user is not None:
            shutil.chown(self._data, self._user)
        argv = [str(self._programs / "initdb"), "-D", str(self._data), "-U", _SUPERUSER]
        argv += ["-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync"]
        subprocess.run(
            argv,
            check=True,
            capture_output=True,
            cwd="/",
            user=self._user,
            group=None if self._user is None else pwd.getpwnam(self._user).pw_gid,
            extra_groups=None if self._user is None else [],
        )


def reachable_parent(parent: Path) -> Path:
    """`parent`, or one below /tmp where the server's user cannot enter `parent` (a checkout in /root)."""
    user = _unprivileged_user()
    parent.mkdir(parents=True, exist_ok=True)
    if user is None or _can_enter(user, parent):
        return parent
    # The short directory is closed to others, so the way in has to lie beside it.
    outside = short_directory().with_name(short_directory().name + "-postgres")
    outside.mkdir(mode=0o755, exist_ok=True)
    if outside.is_symlink() or outside.stat().st_uid != os.geteuid():
        raise PermissionError(f"{outside} belongs to another user: remove it, then run again")
    return outside


def _can_enter(user: str, directory: Path) -> bool:
    group = pwd.getpwnam(user).pw_gid
    probe = subprocess.run(["test", "-x", str(directory)], user=user, group=group, extra_groups=[], cwd="/")
    return probe.returncode == 0


def _unprivileged_user() -> str | None:
    """The user a server runs as when we are root, since PostgreSQL refuses root; None: as ourselves."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in ("postgres", "nobody") if name in known)
