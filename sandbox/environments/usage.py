"""What boxes and all that belongs to them use of a host, and how much room it has."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Use:
    """What one box uses now, or one service beside a box (`service` is its name then).

    `memory_bytes` is None when nothing runs, `cpu_seconds` counts from the start. `disk_bytes` is what it has
    written itself, without what it was made of. `purpose` is empty for a session's own box.
    """

    box: str
    session_id: str
    running: bool
    memory_bytes: int | None
    cpu_seconds: float
    disk_bytes: int
    purpose: str = ""
    service: str = ""


@dataclass(frozen=True, slots=True)
class Stored:
    """Copies that are kept: how many, and the disk that they alone take."""

    count: int
    disk_bytes: int


@dataclass(frozen=True, slots=True)
class HostUse:
    """Everything of one installation on one host."""

    running: Sequence[Use]
    snapshots: Stored
    images: Stored

    @property
    def boxes(self) -> Sequence[Use]:
        """The boxes without the services."""
        return [use for use in self.running if not use.service]

    @property
    def services(self) -> Sequence[Use]:
        """The services without the boxes."""
        return [use for use in self.running if use.service]

    @property
    def memory_bytes(self) -> int:
        """Of all that runs."""
        return sum(use.memory_bytes or 0 for use in self.running)

    @property
    def disk_bytes(self) -> int:
        """Of boxes, services, snapshots and images."""
        stored = self.snapshots.disk_bytes + self.images.disk_bytes
        return stored + sum(use.disk_bytes for use in self.running)


@dataclass(frozen=True, slots=True)
class FullService:
    """A service that was ended because it had written too much."""

    session_id: str
    name: str
    disk_bytes: int


@dataclass(frozen=True, slots=True)
class Disk:
    """A disk that boxes, snapshots or images lie on; `path` is a directory of theirs on it."""

    path: Path
    free_bytes: int
    total_bytes: int


def disks_of(paths: Iterable[Path]) -> Sequence[Disk]:
    """The disks of those directories that are there, each once."""
    found: dict[int, Disk] = {}
    for path in paths:
        if path.is_dir():
            usage = shutil.disk_usage(path)
            found.setdefault(os.stat(path).st_dev, Disk(path, usage.free, usage.total))
    return list(found.values())
