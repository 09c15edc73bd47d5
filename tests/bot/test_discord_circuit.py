"""When Discord is not asked any more, and when it is again."""

from __future__ import annotations

import pytest

from bot.platforms.discord.circuit import MOST_REFUSALS, REST_SECONDS, WINDOW_SECONDS, Circuit
from bot.platforms.protocol import Busy, PlaceGone, PlatformError


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def test_what_was_refused_rests_and_the_rest_goes_on() -> None:
    clock = Clock()
    circuit = Circuit(now=clock)
    circuit.refused("write (1)", 403)
    with pytest.raises(PlaceGone, match=r"write \(1\)"):
        circuit.check("write (1)")
    circuit.check("write (2)")
    clock.now += REST_SECONDS
    circuit.check("write (1)")


def test_many_refusals_within_ten_minutes_stop_everything_for_ten() -> None:
    clock = Clock()
    circuit = Circuit(now=clock)
    for number in range(MOST_REFUSALS - 1):
        circuit.refused(f"write ({number})", 403)
    circuit.check("look")
    clock.now += WINDOW_SECONDS
    circuit.refused("write (1)", 403)
    circuit.check("look")
    for number in range(MOST_REFUSALS - 1):
        circuit.refused(f"write ({number})", 403)
    with pytest.raises(Busy) as caught:
        circuit.check("look")
    assert caught.value.retry_after_seconds == WINDOW_SECONDS
    clock.now += WINDOW_SECONDS
    circuit.check("look")


def test_a_refused_token_stops_everything_for_good() -> None:
    clock = Clock()
    circuit = Circuit(now=clock)
    circuit.refused("log in", 401)
    clock.now += 10 * WINDOW_SECONDS
    with pytest.raises(PlatformError, match="DISCORD_BOT_TOKEN"):
        circuit.check("look")
    assert circuit.broken.is_set()
