"""What the bot says when work does not leave the sandbox, or cannot be saved."""

from __future__ import annotations

from collections.abc import Sequence

from bot.long_text import one_line
from bot.sentences.figures import short
from session import events as e

HOW_TO_GO_ON = "If no pull request follows, tell me here how to go on."
MOST_HOLDS = 5


def in_full(event: e.WorkHeldBack) -> str:
    """What keeps the work in the sandbox, that nothing has left, and what to do."""
    shown = [_hold(hold) for hold in event.holds[:MOST_HOLDS]]
    if len(event.holds) > MOST_HOLDS:
        shown.append(f"{len(event.holds) - MOST_HOLDS} more, on the session's page")
    what = f" {shown[0]}." if len(shown) == 1 else "\n\n" + "\n".join(f"- {line}" for line in shown)
    kept = ", and the work is saved" if event.saved else "; the work is still in it"
    parts = [f"**Held back:**{what}", f"Nothing has left the sandbox{kept}. {HOW_TO_GO_ON}"]
    if any(hold.kind == "secret" for hold in event.holds):
        parts.append("If the secret is real, please replace it where it is in use: the agent has seen it.")
    return "\n\n".join(parts)


def in_short(holds: Sequence[e.Hold]) -> str:
    """The same for the card, as short as it can be."""
    more = f", and {len(holds) - 1} more" if len(holds) > 1 else ""
    return f"Held back: {_hold(holds[0])}{more}"


def _hold(hold: e.Hold) -> str:
    """One thing that keeps the work in, without a full stop."""
    what = hold.what.rstrip(".")
    if not hold.commit:
        return what
    commit = f"commit {short(hold.commit)}"
    path = one_line(hold.path, 120).replace("`", "'")
    return f"`{path}` in {commit} {what}" if path else f"{commit[:1].upper()}{commit[1:]} {what}"


def degraded(part: e.PartDegraded) -> str:
    """A part that does not answer, and what that means here."""
    # What these two are away for is a sentence of its own; their names mean nothing in a thread.
    words = part.detail if part.part in ("broker", "audit") else f"{part.part}: {part.detail}"
    return words[:1].upper() + words[1:]


def unsaved(part: e.PartDegraded) -> str:
    """Said when a turn's work could not be saved: the sandbox has the only copy."""
    return f"{degraded(part).rstrip('.')}. Tell me here what can be left out, or to try again."
