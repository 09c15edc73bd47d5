"""Answers of a platform about its people and channels, kept for a while."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

KEPT_SECONDS = 600.0
_KEPT_ENTRIES = 5_000

T = TypeVar("T")


class Kept(Generic[T]):
    """Answers kept for ten minutes, so that a changed role or name is seen before long."""

    def __init__(self, ask: Callable[[str], Awaitable[T]]) -> None:
        self._ask = ask
        self._known: OrderedDict[str, tuple[float, T]] = OrderedDict()

    async def get(self, key: str) -> T:
        """The answer for `key`. Raises: whatever asking raises."""
        found = self._known.get(key)
        if found is not None and found[0] > time.monotonic():
            return found[1]
        answer = await self._ask(key)
        self._known[key] = (time.monotonic() + KEPT_SECONDS, answer)
        if len(self._known) > _KEPT_ENTRIES:
            self._known.popitem(last=False)
        return answer
