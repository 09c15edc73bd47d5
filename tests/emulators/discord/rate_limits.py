"""How often Discord lets itself be called.

Source: https://docs.discord.com/developers/topics/rate-limits
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tests.emulators.discord.refusals import Json


@dataclass(frozen=True, slots=True)
class RateLimits:
    """How strictly to count: `limit` calls of a route in a channel within `seconds`, and `overall` of all
    routes within one second. `of` holds other limits by route ("POST /channels/{}/messages")."""

    limit: int = 60
    seconds: float = 1.0
    overall: int = 500
    of: Mapping[str, tuple[int, float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What stands in the headers of an answer; `retry_after` None means that the call counts and goes on."""

    headers: Mapping[str, str]
    retry_after: float | None = None
    everywhere: bool = False

    def body(self) -> Json:
        """What a 429 says."""
        return {
            "message": "You are being rate limited.",
            "retry_after": self.retry_after,
            "global": self.everywhere,
        }


class RateLimiter:
    """Counts calls; `clock` gives seconds that only grow."""

    def __init__(self, limits: RateLimits, clock: Callable[[], float]) -> None:
        self._limits = limits
        self._clock = clock
        self._calls: dict[tuple[str, str], deque[float]] = {}
        self._all: deque[float] = deque()

    def ask(self, route: str, major: str) -> Verdict:
        """May `route` be called now for the channel (or guild, or webhook) `major`?"""
        now = self._clock()
        while self._all and now - self._all[0] >= 1.0:
            self._all.popleft()
        if len(self._all) >= self._limits.overall:
            wait = round(1.0 - (now - self._all[0]) + 0.001, 3)
            headers = {"X-RateLimit-Global": "true", "Retry-After": str(wait), "X-RateLimit-Scope": "global"}
            return Verdict(headers, wait, everywhere=True)
        limit, seconds = self._limits.of.get(route, (self._limits.limit, self._limits.seconds))
        calls = self._calls.setdefault((route, major), deque())
        while calls and now - calls[0] >= seconds:
            calls.popleft()
        full = len(calls) >= limit
        if not full:
            calls.append(now)
            self._all.append(now)
        after = round(seconds - (now - calls[0]) + 0.001, 3)
        headers = {
            "X-RateLimit-Limit": str(limit),
            "X-RateLimit-Remaining": str(limit - len(calls)),
            "X-RateLimit-Reset-After": str(after),
            "X-RateLimit-Reset": str(round(now + after, 3)),
            "X-RateLimit-Bucket": hashlib.sha256(route.encode()).hexdigest()[:16],
        }
        if full:
            return Verdict({**headers, "Retry-After": str(after), "X-RateLimit-Scope": "user"}, after)
        return Verdict(headers)
