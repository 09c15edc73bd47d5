"""Limits that no kernel setting holds here, watched while commands run."""

from __future__ import annotations

import asyncio
import os
from typing import Awaitable, Callable, NamedTuple, Sequence

from .measure import ENTRY_BYTES, disk_bytes, hidden_disk_bytes, resident_bytes

LOOK_SECONDS = 0.25
# Counting a large workspace costs: it is done once this much of the file system has gone since the last time.
DISK_STEP_BYTES = 64 * 1024 * 1024


class Room(NamedTuple):
    """What is left on the disks."""

    bytes: int
    files: int


class Limits:
    """`memory_bytes` for all processes together and `disk_bytes` for `directories`; None is no limit.

    `directories` are all that the box may write to on a disk, those that are not there excepted.
    """

    def __init__(self, directories: Sequence[str], memory_bytes: int | None, disk_bytes: int | None) -> None:
        self._directories = _outermost(directories)
        self._memory_bytes = memory_bytes
        self._disk_bytes = disk_bytes

    async def watch(self, over: Callable[[str], None], relieve: Callable[[], Awaitable[None]]) -> None:
        """Calls `over` with the cause once a limit is passed; ends only by being cancelled.

        `relieve` ends what finished calls left behind: nothing that works now is to end for its memory.
        """
        free = self._free()
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            left = self._free()
            # What a neighbour frees on the same disk must not hide what is written here.
            free = Room(max(free.bytes, left.bytes), max(free.files, left.files))
            if self._is_over_memory():
                await relieve()
                if self._is_over_memory():
                    over("out of memory")
            gone = max(free.bytes - left.bytes, (free.files - left.files) * ENTRY_BYTES)
            if self._disk_bytes is not None and gone > self._step_bytes():
                if await self._is_over(self._disk_bytes):
                    over(
                        f"disk full: the box is over its {self._disk_bytes} bytes,"
                        f" of which each file counts for {ENTRY_BYTES} at least"
                    )
                free = self._free()

    def _is_over_memory(self) -> bool:
        return self._memory_bytes is not None and resident_bytes() > self._memory_bytes

    async def _is_over(self, most: int) -> bool:
        used = hidden_disk_bytes()
        for path in self._directories:
            used += await disk_bytes(path, most - used)
        return used > most

    def _free(self) -> Room:
        disks = {os.stat(path).st_dev: os.statvfs(path) for path in self._directories}.values()
        blocks = sum(figures.f_bfree * figures.f_frsize for figures in disks)
        return Room(blocks, sum(figures.f_ffree for figures in disks))

    def _step_bytes(self) -> int:
        return min(DISK_STEP_BYTES, (self._disk_bytes or 0) // 4)


def _outermost(directories: Sequence[str]) -> list[str]:
    """Those that are there, without the ones that lie in another."""
    real = {os.path.realpath(path) for path in directories if os.path.isdir(path)}
    return [path for path in real if not any(path.startswith(other + "/") for other in real)]
