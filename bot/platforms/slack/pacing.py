"""How often Slack lets itself be called: each call waits for its turn, so that none has to be refused."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

POST_INTERVAL_SECONDS = 1.0
"""Least time between two posts in one channel. Source: https://docs.slack.dev/apis/web-api/rate-limits"""

BURST = 10
"""Calls of one method that may come at once: Slack allows bursts on top of a tier, without saying how big."""

_POST = "chat.postMessage"
_TIERS = {2: 20, 3: 50, 4: 100}
_TIER_OF = {
    "agents.sessions.setStatus": 3,
    "chat.appendStream": 4,
    "chat.postEphemeral": 4,
    "chat.startStream": 2,
    "chat.stopStream": 2,
    "chat.unfurl": 3,
    "chat.update": 3,
    "conversations.history": 3,
    "conversations.info": 3,
    "conversations.replies": 3,
    "emoji.list": 2,
    "reactions.add": 3,
    "reactions.remove": 2,
    "users.conversations": 3,
    "users.info": 4,
    "views.open": 4,
    "views.publish": 4,
}
PER_MINUTE: Mapping[str, int] = {method: _TIERS[tier] for method, tier in _TIER_OF.items()}
"""Calls a minute by method, for one app in one workspace. Source: https://docs.slack.dev/reference/methods"""

_CHANNELS_KEPT = 1_000


class Turns:
    """Gives turns: `burst` of them at once, later ones `interval_seconds` apart."""

    def __init__(self, interval_seconds: float, burst: int) -> None:
        self._interval = interval_seconds
        self._burst = burst
        self._last = 0.0

    def free(self, now: float) -> bool:
        """Whether the next turn is now."""
        return self._last + self._interval - now <= self._burst * self._interval

    def take(self, now: float) -> float:
        """Seconds until the turn that is taken with this."""
        self._last = max(self._last, now) + self._interval
        return max(0.0, self._last - now - self._burst * self._interval)

    def all_back(self, now: float) -> bool:
        """Whether nobody has taken one lately."""
        return self._last <= now


class Pacing:
    """The turns of one app in one workspace. `now`: seconds that only grow."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._methods = {method: Turns(60.0 / often, BURST) for method, often in PER_MINUTE.items()}
        self._channels: dict[str, Turns] = {}

    def wait_seconds(self, method: str, channel: str) -> float:
        """How long the call has to wait for its turn, which is taken. `channel`: where it posts."""
        turns = self._turns(method, channel)
        return turns.take(self._now()) if turns is not None else 0.0

    def is_free(self, method: str) -> bool:
        """Whether the method may be called without waiting."""
        turns = self._methods.get(method)
        return turns is None or turns.free(self._now())

    def _turns(self, method: str, channel: str) -> Turns | None:
        if method != _POST:
            return self._methods.get(method)
        if len(self._channels) > _CHANNELS_KEPT:
            now = self._now()
            self._channels = {name: one for name, one in self._channels.items() if not one.all_back(now)}
        return self._channels.setdefault(channel, Turns(POST_INTERVAL_SECONDS, 1))
