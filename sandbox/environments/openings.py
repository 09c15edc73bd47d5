"""Boxes on their way: one at a time of each name, and none cut off in the middle."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Generic, TypeVar

WAIT_SECONDS = 10.0

B = TypeVar("B", bound=AbstractAsyncContextManager[object])


class Openings(Generic[B]):
    """Whoever asks for a box may be told to stop meanwhile. What was begun goes on to its end all the same:
    what makes boxes cannot be halted halfway, and half a box is known to nobody."""

    def __init__(self) -> None:
        self._locks: dict[str, asyncio.Lock] = {}
        self._under_way: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def alone(self, name: str) -> AsyncIterator[None]:
        """No box of that name is on its way."""
        async with self._locks.setdefault(name, asyncio.Lock()):
            yield

    async def open(self, name: str, work: Callable[[], Coroutine[None, None, B]]) -> B:
        """What `work` opens. Whoever is cancelled waits a moment for its end; what it opened is closed."""
        lock = self._locks.setdefault(name, asyncio.Lock())
        await lock.acquire()
        opening = asyncio.create_task(work(), name=f"opening of {name}")
        opening.add_done_callback(lambda _: lock.release())
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            leaving = asyncio.create_task(_left(opening), name=f"end of the opening of {name}")
            self._under_way.add(leaving)
            leaving.add_done_callback(self._under_way.discard)
            await asyncio.wait({leaving}, timeout=WAIT_SECONDS)
            raise


async def _left(opening: asyncio.Task[B]) -> None:
    await asyncio.wait({opening})
    if not opening.cancelled() and opening.exception() is None:
        async with opening.result():
            pass  # nobody wants it any more
