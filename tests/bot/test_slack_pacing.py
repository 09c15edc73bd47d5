"""Slack is called as often as it allows, and its emulator, which counts, never has to refuse."""

from __future__ import annotations

import math

from bot.platforms.slack.needs import METHODS
from bot.platforms.slack.pacing import BURST, PER_MINUTE, Pacing
from tests.emulators.slack.emulator import USUAL_LIMITS
from tests.emulators.slack.method_rules import CALLS_PER_MINUTE, RULES
from tests.emulators.slack.rate_limits import RateLimiter

_CALLS = 200


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def __call__(self) -> float:
        """The time."""
        return self.seconds


def test_every_method_that_slack_counts_has_its_turns() -> None:
    counted = {name: rule.tier for name, rule in RULES.items() if name in METHODS and rule.tier is not None}
    assert {name: CALLS_PER_MINUTE[tier] for name, tier in counted.items()} == PER_MINUTE


def test_as_many_calls_as_one_likes_are_never_refused() -> None:
    for method in ("chat.postMessage", *PER_MINUTE):
        clock = Clock()
        pacing, slack = Pacing(clock), RateLimiter(USUAL_LIMITS, clock)
        began = clock.seconds
        for _ in range(_CALLS):
            clock.seconds += pacing.wait_seconds(method, "C1")
            assert slack.retry_after(method, "C1") is None, method
        allowed = PER_MINUTE.get(method, 60)
        assert clock.seconds - began <= 60.0 * _CALLS / allowed, f"{method} waits longer than it has to"


def test_a_few_calls_do_not_wait_and_channels_and_methods_not_for_each_other() -> None:
    clock = Clock()
    pacing = Pacing(clock)
    assert math.isclose(sum(pacing.wait_seconds("chat.update", "C1") for _ in range(BURST)), 0, abs_tol=1e-9)
    assert not pacing.is_free("chat.update")
    assert math.isclose(pacing.wait_seconds("chat.update", "C2"), 1.2)
    assert pacing.is_free("reactions.add")
    assert [pacing.wait_seconds("chat.postMessage", channel) for channel in ("C1", "C1", "C2")] == [0, 1, 0]
    clock.seconds += 60.0
    assert pacing.is_free("chat.update")
    assert pacing.wait_seconds("auth.test", "") == 0.0
