"""Where the quarantines of this host lie, a directory for each session, and how those no longer needed go."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from uuid import uuid4
from weakref import WeakValueDictionary

GONE = ".gone-"
"""Begins the name of what is being removed. No session has such an id."""


class Quarantines:
    """All of them. The directory is the broker's own, and there is one broker to it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def path(self, session_id: str, slug: str) -> Path:
        """Where a session's work in that repository is taken in."""
        return self._directory / session_id / f"{slug.lower()}.git"

    @asynccontextmanager
    async def in_use(self, session_id: str) -> AsyncIterator[None]:
        """While the block makes one of the session's or brings it up to date, none of them is removed; after
        that they count as used just now."""
        async with self._lock(session_id):
            yield
            os.utime(self._directory / session_id)

    async def clear(self, quiet: timedelta, is_over: Callable[[str], Awaitable[bool]]) -> int:
        """Of how many sessions they are gone: of those that have used none for so long and that, asked by
        id, are over. What an earlier call could not finish goes too.

        Raises: OSError, and what `is_over` does.
        """
        before = time.time() - quiet.total_seconds()
        gone = 0
        for found in await asyncio.to_thread(_unused, self._directory, before):
            async with self._lock(found.name):
                # Asked under the lock: whoever has used it meanwhile has first said so on record.
                if not await is_over(found.name):
                    continue
                found.rename(self._directory / f"{GONE}{uuid4().hex}")
            gone += 1
        await asyncio.to_thread(_remove_renamed, self._directory)
        return gone

    def _lock(self, session_id: str) -> asyncio.Lock:
        return self._locks.setdefault(session_id, asyncio.Lock())


def _unused(directory: Path, before: float) -> list[Path]:
    if not directory.exists():
        return []
    found = (path for path in directory.iterdir() if not path.name.startswith(GONE))
    return sorted(path for path in found if path.stat().st_mtime < before)


def _remove_renamed(directory: Path) -> None:
    for path in directory.glob(f"{GONE}*"):
        shutil.rmtree(path, ignore_errors=True)
