"""The first process of a box of namespaces: known by number and start time, ended with all others."""

from __future__ import annotations

import json
import os
import select
import signal
from dataclasses import dataclass, field
from pathlib import Path

from sandbox.environments.protocol import SandboxFailed

END_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class BoxRecord:
    """What is written down of a box. `pid` and `started_ticks` are those of its first process, if any.

    `door` is the host's directory that it sees as its door, `env` what was asked for its programs to find.
    """

    name: str
    session_id: str
    labels: dict[str, str]
    box: str
    pid: int | None
    started_ticks: int | None
    door: str | None = None
    env: dict[str, str] = field(default_factory=dict)

    def running(self) -> bool:
        """Whether that very process lives; its number alone may be another's by now."""
        if self.pid is None or self.started_ticks is None:  # it had ended before it was written down
            return False
        return started_ticks_of(self.pid) == self.started_ticks


def lives(pid_file: Path) -> bool:
    """Whether the process of a box that is being built lives; True while its number is not known yet."""
    try:
        return started_ticks_of(pid_in(pid_file.read_text())) is not None
    except (FileNotFoundError, ValueError):
        return True


def end_from(pid_file: Path, name: str) -> None:
    try:
        pid = pid_in(pid_file.read_text())
    except (FileNotFoundError, ValueError):
        return
    end(pid, name)


def pid_in(said: str) -> int:
    """The process id as bubblewrap tells it (JSON) or as a plain number."""
    content = json.loads(said)
    return int(content["child-pid"] if isinstance(content, dict) else content)


def started_ticks_of(pid: int) -> int | None:
    """When a living process started, in the kernel's ticks since boot; None when it does not live.

    Source: proc(5), /proc/pid/stat, field 22.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def end(pid: int, name: str) -> None:
    """The first process of a namespace takes all others with it."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        signal.pidfd_send_signal(handle, signal.SIGKILL)
        readable, _, _ = select.select([handle], [], [], END_SECONDS)
    except ProcessLookupError:
        return
    finally:
        os.close(handle)
    if not readable:
        raise SandboxFailed(f"box {name}: its processes do not end (first process {pid})")
