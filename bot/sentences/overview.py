"""What the bot says to those who ask it something by a command of the platform."""

from __future__ import annotations

import re

from bot.long_text import one_line
from bot.sentences import states
from session.view import SessionView, State

NO_SESSION_HERE = "There is no session of mine in this thread. /sessions lists yours."
NO_SESSIONS = "You have no sessions yet. Mention me and say what you would like changed."
STOPPING = "Stopping. What was done so far is kept, and 🔁 on the card goes on with it."
SENT = "I am on it: the card is in that message's thread."
NO_MATCH = "No repository has these words in its name or description. Press the button again and try others."
CANNOT_WORK_HERE = (
    "I cannot work in this channel: I may not do this here: {names}. An admin can grant it in the channel's "
    "settings, under Permissions."
)
MATCHES = "**Which of these?**"
MORE_MATCHES = "**Which of these?** There are {more} more: with more words I find fewer."


def overview(view: SessionView, page: str) -> str:
    """How a session is doing, for somebody who asks. `page`: its companion page; empty: none."""
    action = f": {one_line(view.last_action, 200)}" if view.turn_open and view.last_action else ""
    parts = [f"**{_plain(view.title, 140)}**", f"{states.state_words(view)}{_plain(action, 200)}"]
    if view.repository is not None:
        parts.append(f"Repository: `{view.repository.slug}`")
    if view.pull_request is not None:
        parts.append(f"Pull request: {view.pull_request.url}")
    return "\n".join([*parts, *([page] if page else [])])


def listed(title: str, state: State, repository: str | None, page: str) -> str:
    """One session in a list of somebody's own."""
    where = f" in `{repository}`" if repository else ""
    return f"- {_plain(title, 100)}: {states.STATES[state].lower()}{where}" + (f" {page}" if page else "")


def _plain(text: str, limit: int) -> str:
    """Words of people inside a sentence of ours: their marks are no marks here."""
    return re.sub(r"([\\`*_\[\]<>#~|])", r"\\\1", one_line(text, limit))


def matches(more: int) -> str:
    """Said over the repositories that a search found; `more`: how many it does not show."""
    return MORE_MATCHES.format(more=more) if more > 0 else MATCHES


def picked(slug: str) -> str:
    """Said when a search found the one repository."""
    return f"`{slug}` it is."
