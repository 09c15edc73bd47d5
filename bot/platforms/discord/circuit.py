"""When to stop asking: Discord bans an address after 10,000 refused calls in ten minutes.

Source: https://docs.discord.com/developers/topics/rate-limits (invalid request limit)
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable

import structlog

from bot.platforms.protocol import Busy, PlaceGone, PlatformError

WINDOW_SECONDS = 600.0
MOST_REFUSALS = 50
"""403s in the window after which nothing is asked until it is over: half a hundredth of what bans."""

REST_SECONDS = 120.0
"""How long the same is not asked again where it was refused."""

TOKEN_REFUSED = "Discord does not take the bot's token any more; check DISCORD_BOT_TOKEN, then start again"

_log = structlog.get_logger(__name__)


class Circuit:
    """Counts refusals. After a 401 it is open for good (`broken` is set), after many 403s for a while."""

    def __init__(
        self, *, rest_seconds: float = REST_SECONDS, now: Callable[[], float] = time.monotonic
    ) -> None:
        self.broken = asyncio.Event()
        self._rest = rest_seconds
        self._now = now
        self._refusals: deque[float] = deque()
        self._open_until = 0.0
        self._resting: dict[str, float] = {}

    def check(self, what: str) -> None:
        """Whether `what` may be asked now. Raises: PlatformError, Busy, PlaceGone: it may not."""
        now = self._now()
        if self.broken.is_set():
            raise PlatformError(TOKEN_REFUSED)
        if now < self._open_until:
            raise Busy("Discord refused too much of late, so it is not asked for now", self._open_until - now)
        if now < self._resting.get(what, 0.0):
            raise PlaceGone(f"Discord refused to {what} a short while ago")

    def refused(self, what: str, status: int) -> None:
        """Discord answered `what` with that status."""
        now = self._now()
        if status == 401:
            if not self.broken.is_set():
                _log.error("discord.stopped_asking", detail=TOKEN_REFUSED)
            self.broken.set()
            return
        self._resting = {key: until for key, until in self._resting.items() if until > now}
        self._resting[what] = now + self._rest
        self._refusals.append(now)
        while now - self._refusals[0] >= WINDOW_SECONDS:
            self._refusals.popleft()
        if len(self._refusals) >= MOST_REFUSALS:
            self._open_until = now + WINDOW_SECONDS
            self._refusals.clear()
            _log.error("discord.stopped_asking", refusals=MOST_REFUSALS, seconds=WINDOW_SECONDS, last=what)
