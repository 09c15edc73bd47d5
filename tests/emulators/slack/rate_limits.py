"""How often Slack lets itself be called."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from tests.emulators.slack.method_rules import CALLS_PER_MINUTE, RULES

MINUTE = 60.0


@dataclass(frozen=True, slots=True)
class RateLimits:
    """How strictly to count.

    `post_burst` messages may go to one channel at once before one per `post_every_seconds` holds;
    `burst_per_minute` calls of each method are forgiven on top of its tier.
    """

    post_every_seconds: float = 1.0
    post_burst: int = 3
    burst_per_minute: int = 20


class RateLimiter:
    """Counts calls; `clock` gives seconds that only grow."""

    def __init__(self, limits: RateLimits, clock: Callable[[], float]) -> None:
        self._limits = limits
        self._clock = clock
        self._calls: dict[str, deque[float]] = {}
        self._next_post: dict[str, float] = {}

    def retry_after(self, method: str, channel: str | None) -> int | None:
        """Seconds to wait before this call is allowed, or None (and then it counts)."""
        if method == "chat.postMessage":
            return self._after_posts(channel or "")
        tier = RULES[method].tier
        return self._after_calls(method, CALLS_PER_MINUTE[tier]) if tier is not None else None

    def _after_posts(self, channel: str) -> int | None:
        now, every = self._clock(), self._limits.post_every_seconds
        due = max(self._next_post.get(channel, 0.0), now)
        if due - now > (self._limits.post_burst - 1) * every:
            return max(1, math.ceil(due - now - (self._limits.post_burst - 1) * every))
        self._next_post[channel] = due + every
        return None

    def _after_calls(self, method: str, per_minute: int) -> int | None:
        now, calls = self._clock(), self._calls.setdefault(method, deque())
        while calls and now - calls[0] >= MINUTE:
            calls.popleft()
        if len(calls) >= per_minute + self._limits.burst_per_minute:
            return max(1, math.ceil(MINUTE - (now - calls[0])))
        calls.append(now)
        return None
