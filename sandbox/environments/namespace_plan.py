"""What a box made of Linux namespaces sees of the host, and how each program is told to build it."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

# Programs and libraries. Everything else of the host is not there: homes, /var, /srv, Bellhop's own files.
HOST_DIRECTORIES = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix")
HOST_SETTINGS = [
    "alternatives",
    "ca-certificates",
    "group",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "localtime",
    "mime.types",
    "nsswitch.conf",
    "os-release",
    "passwd",
    "protocols",
    "services",
    "ssl",
    "terminfo",
]
DEVICES = ("null", "zero", "full", "random", "urandom")
PYTHON_PATHS = ("/usr/bin/python3", "/usr/local/bin/python3")


@dataclass(frozen=True, slots=True)
class Bind:
    """A host path as the box sees it."""

    source: str
    target: str
    writable: bool = False


@dataclass(frozen=True, slots=True)
class BoxPlan:
    """Everything that a program needs to build the box and start `command` in it.

    `uid` is the host user that the box becomes when built by root; None for a box built by that user itself.
    `pid_file` gets the host's process id of the box's first process.
    """

    binds: tuple[Bind, ...]
    links: Mapping[str, str]
    tmp_bytes: int
    environment: Mapping[str, str]
    workdir: str
    command: tuple[str, ...]
    uid: int | None
    pid_file: Path


Builder = Callable[[BoxPlan], list[str]]


def host_python() -> tuple[str, tuple[Bind, ...]]:
    """A Python that the box can run, and what must be bound to have it."""
    for path in PYTHON_PATHS:
        if os.access(path, os.X_OK):
            return path, ()
    return f"{sys.base_prefix}/bin/python3", (Bind(sys.base_prefix, sys.base_prefix),)


def host_binds() -> tuple[tuple[Bind, ...], Mapping[str, str]]:
    """The host's programs read-only, and the links among its top directories (`/bin` to `usr/bin`, …)."""
    binds, links = [], {}
    for path in HOST_DIRECTORIES:
        if os.path.islink(path):
            links[path] = os.readlink(path)
        elif os.path.isdir(path):
            binds.append(Bind(path, path))
    for name in HOST_SETTINGS:
        if os.path.exists(f"/etc/{name}"):
            binds.append(Bind(os.path.realpath(f"/etc/{name}"), f"/etc/{name}"))
    return tuple(binds), links


def bubblewrap_command(plan: BoxPlan) -> list[str]:
    """The box as built by bubblewrap; its first process is told through descriptor 3."""
    command = ["bwrap", "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts"]
    command += ["--unshare-cgroup-try", "--hostname", "bellhop", "--clearenv", "--cap-drop", "ALL"]
    if plan.uid is None:
        command += ["--unshare-user", "--disable-userns", "--uid", "10001", "--gid", "10001"]
    else:
        # The runner becomes `uid` with these two, and has none left after that.
        command += ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
    # Made first, or bubblewrap would give them the modes of the private directories that are bound below.
    for directory in sorted({parent for bind in plan.binds for parent in _parents(bind.target)}):
        command += ["--perms", "0755", "--dir", directory]
    for bind in plan.binds:
        command += ["--bind" if bind.writable else "--ro-bind", bind.source, bind.target]
    for path, target in plan.links.items():
        command += ["--symlink", target, path]
    command += ["--proc", "/proc", "--dev", "/dev"]
    for scratch in ("/tmp", "/dev/shm"):
        command += ["--perms", "1777", "--size", str(plan.tmp_bytes), "--tmpfs", scratch]
    command += ["--remount-ro", "/"]
    for name, value in plan.environment.items():
        command += ["--setenv", name, value]
    script = f"exec {shlex.join([*command, '--chdir', plan.workdir, '--info-fd', '3', '--', *plan.command])}"
    return ["sh", "-c", f"exec 3>{shlex.quote(str(plan.pid_file))}; {script}"]


def _parents(target: str) -> list[str]:
    return [str(parent) for parent in Path(target).parents if str(parent) != "/"]


def available_builder() -> tuple[str, Builder] | None:
    """The program that builds boxes on this host with the function for it, None when there is none."""
    if shutil.which("bwrap"):
        return "bubblewrap", bubblewrap_command
    return None
