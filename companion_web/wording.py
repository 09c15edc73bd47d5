"""The words and numbers that pages show."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Literal

from session.preferences import Verbosity
from session.view import SessionView, State

Tone = Literal["calm", "busy", "ask", "good", "bad"]

STATES: dict[str, tuple[str, Tone]] = {
    "routing": ("Finding the repository", "busy"),
    "awaiting_repository": ("Which repository?", "ask"),
    "queued": ("Queued", "calm"),
    "starting": ("Starting", "busy"),
    "running": ("Working", "busy"),
    "awaiting_approval": ("Needs approval", "ask"),
    "awaiting_answer": ("Needs an answer", "ask"),
    "paused": ("Paused", "ask"),
    "idle": ("Done", "good"),
    "stopped": ("Stopped", "calm"),
    "failed": ("Failed", "bad"),
    "archived": ("Archived", "calm"),
}
"""Each state in words, and its tone."""

BUILDS: dict[str, tuple[str, Tone]] = {
    "": ("No image yet", "calm"),
    "building": ("Building", "busy"),
    "ready": ("Ready", "good"),
    "failed": ("Not built", "bad"),
}
"""Each state of an image's build in words, and its tone."""

REACH: dict[str, str] = {
    "egress": "Approving allows it for this session only.",
    "command": "Approving allows exactly this, once.",
    "budget": "Approving grants as much again.",
    "plan": "Approving covers these steps; new or reworded ones are asked about again.",
}
"""How far an approval of that kind reaches, where its commit does not say so."""

VERBOSITY_WORDS: dict[Verbosity, str] = {
    "quiet": "Quiet: the card, questions, the answer",
    "normal": "Normal: also updates on the way",
    "detailed": "Detailed: also each run of the checks",
}
"""How much is told in a thread, in words."""

_PARTS = {
    "sandbox": "Sandbox",
    "broker": "Broker",
    "audit": "Audit",
    "waiting": "Waiting",
    "job queue": "Job queue",
}

WAITING_FOR_PEOPLE: tuple[State, ...] = ("awaiting_repository", "awaiting_approval", "awaiting_answer")
"""States that end only when a person says something."""


def state_words(state: str) -> str:
    """The state as people read it."""
    return STATES[state][0]


def state_tone(state: str) -> Tone:
    """Which colour the state has."""
    return STATES[state][1]


def build_words(state: str) -> str:
    """The state of a build as people read it."""
    return BUILDS[state][0]


def build_tone(state: str) -> Tone:
    """Which colour the state of a build has."""
    return BUILDS[state][1]


def part_name(part: str) -> str:
    """An outside part as people read it."""
    return _PARTS.get(part, part)


def duration(seconds: float) -> str:
    """A length of time, short: `0.4 s`, `12 s`, `3 min 5 s`, `2 h 10 min`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def cost(view: SessionView) -> str:
    """What the session has cost so far; says so when a model's price is not known."""
    if not view.cost_known:
        return f"≥ {dollars(view.cost_usd)}" if view.cost_usd else "unknown"
    return dollars(view.cost_usd)


def dollars(amount: Decimal) -> str:
    """An amount in US dollars; small ones keep enough digits to be told from nothing."""
    return f"${amount:.2f}" if amount >= Decimal("0.1") or not amount else f"${amount:.3f}"


def tokens(count: int) -> str:
    """A number of tokens, short: `950`, `12.3k`, `4.1M`."""
    if count < 1_000:
        return str(count)
    return f"{count / 1_000:.1f}k" if count < 1_000_000 else f"{count / 1_000_000:.1f}M"


def size(size_bytes: int) -> str:
    """A size, short."""
    if size_bytes < 1024:
        return f"{size_bytes} B"
    if size_bytes < 1024 * 1024:
        return f"{size_bytes / 1024:.0f} KB"
    if size_bytes < 1024**3:
        return f"{size_bytes / 1024**2:.1f} MB"
    return f"{size_bytes / 1024**3:.1f} GB"


def clock(moment: datetime) -> str:
    """Hours and minutes (UTC; the page's script turns them into the reader's own time)."""
    return f"{moment:%H:%M}"


def day(moment: datetime) -> str:
    """Day, hours and minutes, UTC."""
    return f"{moment:%d %b %H:%M}"


def short_sha(sha: str) -> str:
    """The first characters of a commit's id."""
    return sha[:9]


def one_line(text: str, limit: int = 200) -> str:
    """The text in one line, cut at `limit` characters."""
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def weblink(url: str) -> str:
    """The address if it is one of the web's, and a link to nowhere otherwise."""
    return url if url.startswith(("https://", "http://")) else "#"
