"""Waiting for the emulated world to be in some state, without polling."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class Watch:
    """Wakes those who wait whenever something has changed."""

    def __init__(self) -> None:
        self._waiting: list[asyncio.Event] = []

    def changed(self) -> None:
        """Let everyone who waits look again."""
        for event in self._waiting:
            event.set()

    async def wait_for(self, look: Callable[[], T], timeout_seconds: float, describe: Callable[[], str]) -> T:
        """The first truthy value of `look`.

        Raises:
            TimeoutError: there was none within `timeout_seconds`; the message carries `describe()`.
        """
        event = asyncio.Event()
        self._waiting.append(event)
        try:
            async with asyncio.timeout(timeout_seconds):
                while not (seen := look()):
                    event.clear()
                    await event.wait()
                return seen
        except TimeoutError as error:
            raise TimeoutError(f"not within {timeout_seconds} s; what is there:\n{describe()}") from error
        finally:
            self._waiting.remove(event)
