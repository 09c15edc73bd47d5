"""What a command used up of what its box may have, although nothing ended it for that."""

from __future__ import annotations

import asyncio
import os
import resource
from collections.abc import Iterable

from .measure import refused_forks

LOOK_SECONDS = 0.1
# So much of a core, had or waited for all the time, is a command that computes.
BUSY_SHARE = 0.2
# A box that is looked at now and then is seen at its limit, or a little below.
CROWDED_SHARE = 0.9


class Strain:
    """Looks at the box from its making to `seen`. `most_processes` None: nobody says how many may be."""

    def __init__(self, most_processes: int | None) -> None:
        self._most = most_processes
        self._crowded = False
        self._refused = refused_forks()
        self._busy_seconds = _busy_seconds()
        self._wanted_seconds = 0.0

    async def watch(self) -> None:
        """Looks how full the box is where the kernel does not count that; ends only by being cancelled."""
        while self._refused is None:
            self._look()
            await asyncio.sleep(LOOK_SECONDS)

    def before_the_end(self, pids: Iterable[int]) -> None:
        """The command's processes while they still live: on a crowded machine one that computes waits for the
        processor more than it has it, and may take long even to die."""
        ended = _busy_seconds() - self._busy_seconds
        self._wanted_seconds = ended + sum(map(_had_and_waited_seconds, pids))

    def seen(self, timed_out: bool, seconds: float) -> list[str]:
        """ "processes": more were started than there may be; "processor": the command computed until its
        `seconds` were over."""
        self._look()
        found = []
        if self._crowded or (refused_forks() or 0) > (self._refused or 0):
            found.append("processes")
        wanted = max(_busy_seconds() - self._busy_seconds, self._wanted_seconds)
        if timed_out and wanted > seconds * BUSY_SHARE:
            found.append("processor")
        return found

    def _look(self) -> None:
        if self._refused is None and self._most is not None and entries() >= self._most * CROWDED_SHARE:
            self._crowded = True


def entries() -> int:
    """How many processes the box has, those included that nobody has collected."""
    return sum(name.isdigit() for name in os.listdir("/proc"))


def _busy_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _had_and_waited_seconds(pid: int) -> float:
    """How long that process had the processor or was ready for it; 0 where the kernel does not count that."""
    try:
        with open(f"/proc/{pid}/schedstat", "rb") as file:
            had, waited, _ = file.read().split()
    except (OSError, ValueError):
        return 0.0
    return (int(had) + int(waited)) / 1e9
