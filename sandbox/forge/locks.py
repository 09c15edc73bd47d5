"""One at a time, among the tasks of this process and among processes of this host."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

POLL_SECONDS = 0.02


@asynccontextmanager
async def file_lock(path: Path, timeout_seconds: float) -> AsyncIterator[None]:
    """Hold the lock named by `path` (created beside its directory); the kernel frees it if we die.

    Raises: `TimeoutError` when someone else holds it for longer than `timeout_seconds`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        async with asyncio.timeout(timeout_seconds):
            # Polling, because a blocking flock in a thread could not be cancelled.
            while not _try_lock(descriptor):  # noqa: ASYNC110
                await asyncio.sleep(POLL_SECONDS)
        yield
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
