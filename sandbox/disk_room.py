"""How much of the disks that boxes lie on may be taken, and whether there is room for another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from sandbox.environments.protocol import Environment, EnvironmentUnavailable
from sandbox.environments.service import SERVICE_DISK_BYTES
from sandbox.environments.usage import Disk
from session.settings import Settings

GB = 1_000_000_000
MAKE_ROOM = "Make room on that host, or let sandboxes take more (DISK_FREE_GB, DISK_MOST_GB), and ask again"
"""What to do where nothing waits for room by itself, as the end of a sentence."""


class NoRoom(EnvironmentUnavailable):
    """There is no room for another box on this host; the message is a sentence for people."""


@dataclass(frozen=True, slots=True)
class DiskLimits:
    """How much of the disks may be taken.

    `free_bytes` stay free on each (0: nobody looks). All of this installation's boxes and copies take
    `most_bytes` at the most (0: no limit), a service takes `service_bytes` beside its volumes.
    """

    free_bytes: int
    most_bytes: int = 0
    service_bytes: int = SERVICE_DISK_BYTES

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """As they are set."""
        return cls(int(settings.disk_free_gb * GB), int(settings.disk_most_gb * GB))

    def shortage(self, disks: Sequence[Disk], used_bytes: int) -> str:
        """What there is too little of, as the beginning of a sentence; empty when there is enough."""
        for disk in disks:
            if disk.free_bytes < self.free_bytes:
                return (
                    f"this host's disk is too full for another sandbox ({gigabytes(disk.free_bytes)} free, "
                    f"{gigabytes(self.free_bytes)} have to stay so)"
                )
        if self.most_bytes and used_bytes > self.most_bytes:
            return (
                f"sandboxes take {gigabytes(used_bytes)} of this host's disk already, and may take "
                f"{gigabytes(self.most_bytes)}"
            )
        return ""


async def shortage(environment: Environment, limits: DiskLimits) -> str:
    """What there is too little of, in words; empty when there is enough.

    Raises: EnvironmentUnavailable, SandboxFailed.
    """
    disks = await environment.disks() if limits.free_bytes else ()
    used = (await environment.usage()).disk_bytes if limits.most_bytes else 0
    return limits.shortage(disks, used)


async def require_room(environment: Environment, limits: DiskLimits) -> None:
    """Return if there is room for a box that nobody waits for. Raises: NoRoom, and as `shortage`."""
    if short := await shortage(environment, limits):
        raise NoRoom(f"There is no room to build it: {short}. {MAKE_ROOM}.")


def gigabytes(count: int) -> str:
    """An amount of disk as people read it."""
    return f"{count / GB:.1f} GB" if count >= GB / 10 else f"{count / 1_000_000:.0f} MB"
