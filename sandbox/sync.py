"""What is done in a box beside the agent: the gate that opens when it is done, and the files in the meantime.

Reading waits for nothing but the moment in which files are exchanged: git takes a file away and writes it
anew under the same name, so that a read in between would find none, or half of one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager


class SharedFiles:
    """Files that many may read while nobody exchanges them."""

    def __init__(self) -> None:
        self._readers = 0
        self._unread = asyncio.Event()
        self._unread.set()
        self._settled = asyncio.Event()
        self._settled.set()
        self._one = asyncio.Lock()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[None]:
        """The files stay as they are meanwhile."""
        while not self._settled.is_set():
            await self._settled.wait()
        self._readers += 1
        self._unread.clear()
        try:
            yield
        finally:
            self._readers -= 1
            if not self._readers:
                self._unread.set()

    @asynccontextmanager
    async def exchanging(self) -> AsyncIterator[None]:
        """Nobody reads meanwhile: who reads already is waited for, who comes later waits."""
        async with self._one:
            self._settled.clear()
            try:
                await self._unread.wait()
                yield
            finally:
                self._settled.set()


class Sync:
    """One run of such work, begun when this is made, and the gate before all that has to wait for it.

    `work` is given this object. Whoever makes it has to `cancel` it in the end, done or not.
    """

    def __init__(self, work: Callable[[Sync], Coroutine[None, None, None]], name: str) -> None:
        self._began = time.monotonic()
        self._first_wait: float | None = None
        self._task = asyncio.create_task(work(self), name=name)

    @property
    def seconds(self) -> float:
        """Since it began."""
        return time.monotonic() - self._began

    @property
    def waited_seconds(self) -> float:
        """Since the first came that had to wait; 0 when nobody has."""
        return 0.0 if self._first_wait is None else time.monotonic() - self._first_wait

    async def done(self) -> None:
        """Returns once the work is done. Raises: what the work raised."""
        if not self._task.done():
            self._first_wait = self._first_wait or time.monotonic()
            # Not awaited itself: whoever waits may be cancelled, and the work goes on.
            await asyncio.wait([self._task])
        self._task.result()

    def look(self) -> None:
        """Returns at once. Raises: what the work raised, when it failed already."""
        if self._task.done():
            self._task.result()

    async def cancel(self) -> None:
        """Nothing of the work runs any more; an error of it that nobody has heard of by now is dropped."""
        self._task.cancel()
        await asyncio.wait([self._task])
        if not self._task.cancelled():
            self._task.exception()
