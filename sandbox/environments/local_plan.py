"""How a box of namespaces is built for a spec: what it sees, what it finds in its environment, what runs."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from sandbox.environments.door_environment import door_environment, door_options
from sandbox.environments.namespace_plan import Bind, BoxPlan, host_binds, host_python
from sandbox.environments.protocol import DOOR, INBOUND, WORKSPACE, SandboxSpec
from sandbox.environments.runner_launch import (
    HOME,
    RUNNER_MOUNT,
    RUNNER_SOURCE,
    SOCKET_MOUNT,
    STATE,
    runner_command,
)
from sandbox.images.machine_packages import NPM_FILE, PIP_FILE, write_settings

APT_SETTINGS = "etc/apt"
# apt reads here what is installed, and the host's own is not the box's to see.
DPKG_STATE = "var/lib/dpkg"
HOSTS = "hosts"
PROGRAMS = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"


def placed_packages(directory: Path) -> Path:
    """A directory below `directory` with the package settings of boxes; the first takes a second.

    It is named by its content, because boxes that have the former settings go on with them.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=".packages-", dir=directory))
    write_settings(unfinished, None)
    (unfinished / DPKG_STATE).mkdir(parents=True)
    (unfinished / DPKG_STATE / "status").touch()
    files = sorted(path for path in unfinished.rglob("*") if path.is_file())
    content = b"".join(bytes(path.relative_to(unfinished)) + path.read_bytes() for path in files)
    placed = directory / f"packages-{hashlib.sha256(content).hexdigest()[:16]}"
    try:
        unfinished.rename(placed)
    except OSError:  # they are there already
        shutil.rmtree(unfinished)
    return placed


def box_plan(spec: SandboxSpec, box: str, folder: Path, uid: int | None, packages: Path) -> BoxPlan:
    """The plan for `spec`; `folder` is the box's own, `packages` is from `placed_packages`."""
    python, python_binds = host_python()
    binds, links = host_binds()
    limits = spec.limits
    options = ["--memory-bytes", str(limits.memory_bytes), "--disk-bytes", str(limits.disk_bytes)]
    options += ["--pids", str(limits.pids), "--most-processes", str(limits.pids)]
    options += ["--open-files", str(limits.open_files), "--readable", INBOUND, "--filter"]
    options += ["--uid", str(uid)] if uid is not None else []
    own = (
        Bind(str(RUNNER_SOURCE), RUNNER_MOUNT),
        Bind(str(spec.inbound.absolute()), INBOUND),
        Bind(str(folder / "workspace"), WORKSPACE, writable=True),
        Bind(str(folder / "state"), STATE, writable=True),
        Bind(str(folder / "home"), HOME, writable=True),
        Bind(str(folder / "socket"), SOCKET_MOUNT, writable=True),
        Bind(str(folder / HOSTS), "/etc/hosts"),
    )
    environment = {"HOME": HOME, "PATH": PROGRAMS, "LANG": "C.UTF-8"}
    # Where a host's npm looks for the settings of all its users depends on how it was installed.
    environment["npm_config_globalconfig"] = f"/{NPM_FILE}"
    return BoxPlan(
        binds=(*binds, *python_binds, *own, *_door_binds(spec.door), *_settings_binds(packages)),
        links=links,
        tmp_bytes=limits.tmp_bytes,
        environment={**environment, **door_environment(spec.door, spec.hosts), **spec.env},
        workdir=WORKSPACE,
        command=tuple(runner_command(box, *options, *door_options(spec.door), python=python)),
        uid=uid,
        pid_file=folder / "pid",
        root=folder / "root",
        python=python,
    )


def hosts_file(names: Sequence[str]) -> str:
    """The text of /etc/hosts in a box that is also called by those names. Source: hosts(5)."""
    return "".join(f"127.0.0.1\t{name}\n" for name in ("localhost", *names)) + "::1\tlocalhost\n"


def _door_binds(door: Path | None) -> tuple[Bind, ...]:
    # The directory and not the socket in it, which a broker that starts again makes anew.
    return () if door is None else (Bind(str(door.absolute()), DOOR),)


def _settings_binds(packages: Path) -> tuple[Bind, ...]:
    shown = (PIP_FILE, NPM_FILE, APT_SETTINGS, DPKG_STATE)
    return tuple(Bind(str(packages / path), f"/{path}") for path in shown if (packages / path).exists())
