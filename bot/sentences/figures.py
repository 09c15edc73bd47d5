"""Sizes, verdicts, money and time in as few words as they need."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from bot.long_text import one_line
from session import events as e
from session.view import SessionView


def changes(change: e.ChangesRecorded) -> str:
    """How big the diff is."""
    files = "1 file" if change.files == 1 else f"{change.files} files"
    return f"{files}, +{change.insertions} −{change.deletions}"


def checks(finished: e.VerificationFinished) -> str:
    """What the harness found on which commit."""
    sha = short(finished.head_sha)
    names = ", ".join(f"`{one_line(check.command, 60)}`" for check in finished.checks)
    match finished.verdict:
        case "passed":
            return f"Checks passed on {sha}: {names}" if names else f"Checks passed on {sha}"
        case "failed":
            red = ", ".join(f"`{one_line(c.command, 60)}`" for c in finished.checks if c.verdict == "failed")
            return f"Checks failed on {sha}: {red or names}"
        case _:
            why = f" ({finished.reason})" if finished.reason else ""
            return f"Checks did not run on {sha}{why}: unverified"


def short(sha: str) -> str:
    """A commit, as forges show it."""
    return sha[:7]


def cost(amount: Decimal, known: bool) -> str:
    """Money so far; an unknown price is said, not guessed."""
    shown = f"${amount:.2f}" if amount >= Decimal("0.01") or amount == 0 else "under $0.01"
    return shown if known else (f"at least {shown}" if amount else "price unknown")


def time_and_cost(seconds: float, view: SessionView) -> str:
    """How long it took, and what the session has cost."""
    return f"{duration(seconds)}, {cost(view.cost_usd, view.cost_known)}"


def duration(seconds: float) -> str:
    """A length of time in words as short as they can be."""
    whole = max(0, int(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if minutes < 10 and rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"


def names(people: Sequence[str]) -> str:
    """Names in a row."""
    return ", ".join(people)
