"""A workspace's seat: whether it is served, and when it is tried again where that did not go well."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass, field
from typing import Literal

from bot.platforms.slack.installations import Installation

LONGEST_WAIT_SECONDS = 60.0


@dataclass(eq=False, slots=True)
class Seat:
    """`waiting`: begun anew once it is due. `refused`: not before it is installed anew.

    `team`: its workspace, empty while only Slack knows. `token`: kept while it counts, since whoever gives it
    puts that on record each time; empty: to be asked for. `said`: why it waits, as the log says already.
    `failures`: in a row. `due`: when it is tried again, by the clock of whoever asks.
    """

    installation: Installation
    team: str
    task: asyncio.Task[None] | None = None
    state: Literal["starting", "serving", "waiting", "refused"] = "starting"
    token: str = field(default="", repr=False)
    said: str = ""
    failures: int = 0
    due: float = -math.inf

    @property
    def name(self) -> str:
        """What the log calls it."""
        return self.team or "the one of SLACK_BOT_TOKEN"

    def is_to_begin(self, now: float) -> bool:
        """Whether it was never begun, or is to be begun anew."""
        return self.task is None or (self.state == "waiting" and now >= self.due)

    def wait(self, now: float, first_seconds: float) -> None:
        """It did not go well: it waits `first_seconds`, and twice as long each time after that."""
        self.state = "waiting"
        self.due = now + min(first_seconds * 2.0**self.failures, LONGEST_WAIT_SECONDS)
        self.failures = min(self.failures + 1, 32)  # more would only make the power overflow

    def refuse(self) -> None:
        """Slack does not take its token."""
        self.state, self.token = "refused", ""

    def settle(self) -> None:
        """It goes well: should it fail later, it waits as if for the first time."""
        self.failures, self.said = 0, ""
