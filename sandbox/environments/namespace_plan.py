"""What a box made of Linux namespaces sees of the host."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
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

    `environment` is that of the program when it is started, and so the box's.

    `uid` is the host user that the box becomes when built by root; None for a box built by that user itself.
    `pid_file` gets the host's process id of the box's first process. `root` is a path that a builder
    may mount the box's root on, in its own mount table. `python` is the one that the box has.
    """

    binds: tuple[Bind, ...]
    links: Mapping[str, str]
    tmp_bytes: int
    environment: Mapping[str, str]
    workdir: str
    command: tuple[str, ...]
    uid: int | None
    pid_file: Path
    root: Path
    python: str


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
