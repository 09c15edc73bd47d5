"""Waiting for what nobody announces: asked again and again, up to a bound."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable

_ASK_AGAIN_SECONDS = 0.02


async def until(holds: Callable[[], bool | Awaitable[bool]], what: str, seconds: float = 60.0) -> None:
    """Returns once it holds. Raises: AssertionError, when it does not within the bound; `what` names it."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while True:
        answer = holds()
        if await answer if inspect.isawaitable(answer) else answer:
            return
        assert loop.time() < deadline, f"not within {seconds:g} s: {what}"
        await asyncio.sleep(_ASK_AGAIN_SECONDS)
