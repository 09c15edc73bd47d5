"""Limits that no kernel setting holds here, watched while commands run."""

from __future__ import annotations

import asyncio
import os
from typing import Callable, Sequence

from .measure import disk_bytes, hidden_disk_bytes, resident_bytes

LOOK_SECONDS = 0.25
# Counting a large workspace costs: it is done once this much of the file system has gone since the last time.
DISK_STEP_BYTES = 64 * 1024 * 1024


class Limits:
    """`memory_bytes` for all processes together and `disk_bytes` for `directories`; None is no limit.

    `directories` are all that the box may write to on a disk, those that are not there excepted.
    """

    def __init__(self, directories: Sequence[str], memory_bytes: int | None, disk_bytes: int | None) -> None:
        self._directories = _outermost(directories)
        self._memory_bytes = memory_bytes
        self._disk_bytes = disk_bytes

    async def watch(self, over: Callable[[str], None]) -> None:
        """Calls `over` with the cause once a limit is passed; ends only by being cancelled."""
        free = self._free_bytes()
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            # What a neighbour frees on the same disk must not hide what is written here.
            free = max(free, self._free_bytes())
            if self._memory_bytes is not None and resident_bytes() > self._memory_bytes:
                over("out of memory")
            if self._disk_bytes is not None and free - self._free_bytes() > self._step_bytes():
                if await self._used_bytes() > self._disk_bytes:
                    over(f"disk full: the box is over its {self._disk_bytes} bytes")
                free = self._free_bytes()

    async def _used_bytes(self) -> int:
        return hidden_disk_bytes() + sum([await disk_bytes(path) for path in self._directories])

    def _free_bytes(self) -> int:
        disks = {os.stat(path).st_dev: os.statvfs(path) for path in self._directories}
        return sum(figures.f_bfree * figures.f_frsize for figures in disks.values())

    def _step_bytes(self) -> int:
        return min(DISK_STEP_BYTES, (self._disk_bytes or 0) // 4)


def _outermost(directories: Sequence[str]) -> list[str]:
    """Those that are there, without the ones that lie in another."""
    real = {os.path.realpath(path) for path in directories if os.path.isdir(path)}
    return [path for path in real if not any(path.startswith(other + "/") for other in real)]
