"""What routing knows about a request, and what it decides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from session.channel_rules import ChannelRules
from session.events import Candidate
from session.people import ThreadLine
from session.picks import Pick

How = Literal["named", "thread", "rule", "only", "model"]


@dataclass(frozen=True, slots=True)
class RoutingRequest:
    """All that may tell which repository is meant.

    `named` is the repository given in a form field or with `!repo`. `thread_repository` is that of an earlier
    session in the same thread, `channel_rules` what admins have set for the channel, `recent` the author's
    latest repositories, newest first. `session_id` says for which session the model is asked; empty where it
    is for none. `picks` are what people picked in the same channel, newest first.
    """

    text: str
    named: str | None = None
    context: tuple[ThreadLine, ...] = ()
    channel_name: str = ""
    channel_topic: str = ""
    thread_repository: str | None = None
    channel_rules: ChannelRules | None = None
    recent: tuple[str, ...] = ()
    session_id: str = ""
    picks: tuple[Pick, ...] = ()


@dataclass(frozen=True, slots=True)
class Classification:
    """The decision: `slug` and how it came about, or None, and then the person is asked.

    `reason` is a sentence that people may read. `confidence` runs from 0 to 1. `alternatives` holds at most
    five other candidates, best first; `together`: all of them seem to be meant. `examples` are the earlier
    picks that the model was shown.
    """

    slug: str | None
    how: How | None
    reason: str
    confidence: float = 1.0
    alternatives: tuple[Candidate, ...] = ()
    examples: tuple[Pick, ...] = ()
    together: bool = False
