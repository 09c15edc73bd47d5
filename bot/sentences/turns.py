"""What the bot says of a turn: that it failed, was stopped, or ended without a word."""

from __future__ import annotations

from bot.long_text import one_line

THANKS_GOOD = "Thank you, noted that this was good."
THANKS_BAD = "Thank you, noted. Tell me in a reply what should be different and I will go at it again."
SAVED = "The work is saved. "
MIDDLE_ON_PAGE = "_… the part in between is on the session's page …_"
EMPTY_ANSWER = (
    "The agent ended without saying what it did, so please treat this as not done. "
    "The work so far is saved. Tell me here what to look at, and I will go at it again."
)


def failure(cause: str, advice: str, *, saved: bool = True) -> str:
    """What failed, that the work is saved unless it could not be, and what to do."""
    kept = "" if advice.startswith(SAVED) or not saved else "The work so far is saved. "
    advice = advice if saved else advice.removeprefix(SAVED)
    return f"**That did not work:** {cause}\n\n{kept}{advice}".strip()


def budget_warned(text: str) -> str:
    """How much is used, and what happens when all is."""
    return f"{text} When all of it is used, the work stops until somebody here says how to go on."


def stopped(by: str, waiting: int, saved: bool, halt: str | None) -> str:
    """Said when everything stands still. `saved`: there is work, and it is. `halt`: why all work was stopped,
    None where only this session is."""
    first = f"Stopped by {by}."
    after = ""
    if halt is not None:
        why = one_line(halt, 300).rstrip(".")
        first = f"{by} stopped all work{': ' if why else ''}{why}."
        after = " once an admin has resumed work"
    kept = " The work so far is saved." if saved else ""
    if waiting:
        line = "1 follow-up is" if waiting == 1 else f"{waiting} follow-ups are"
        kept += f" {line} kept in line; 🔁 on the card, or a new message, gets me going again{after}."
    else:
        kept += f" 🔁 on the card tries again{after}."
    return first + kept


def from_page(author: str, text: str) -> str:
    """A prompt that came in on the companion page, shown where the others can see it."""
    return f"{author} added on the session's page:\n\n{_quoted(text)}"


def _quoted(text: str) -> str:
    return "\n".join(f"> {line}" for line in one_line(text, 600).splitlines())
