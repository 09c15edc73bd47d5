"""Limits that no kernel setting holds here, watched while commands run."""

from __future__ import annotations

import asyncio
import os
from typing import Callable

from .measure import disk_bytes, resident_bytes

LOOK_SECONDS = 0.25
# Counting a large workspace costs: it is done once this much of the file system has gone since the last time.
DISK_STEP_BYTES = 64 * 1024 * 1024


class Limits:
    """`memory_bytes` for all processes together and `disk_bytes` for `workspace`; None is no limit."""

    def __init__(self, workspace: str, memory_bytes: int | None, disk_bytes: int | None) -> None:
        self._workspace = workspace
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
                if await disk_bytes(self._workspace) > self._disk_bytes:
                    over(f"disk full: the workspace is over its {self._disk_bytes} bytes")
                free = self._free_bytes()

    def _free_bytes(self) -> int:
        figures = os.statvfs(self._workspace)
        return figures.f_bfree * figures.f_frsize

    def _step_bytes(self) -> int:
        return min(DISK_STEP_BYTES, (self._disk_bytes or 0) // 4)
