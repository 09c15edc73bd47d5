"""Which messages may be a wish about the session itself: only those are read by the fast model first."""

from __future__ import annotations

import re
from collections.abc import Iterable

from bot.messages import ChatMessage
from bot.wording import Wording

LONGEST_WISH = 200
"""Characters. A longer message is a request, and goes to the agent at once."""

_HINTS = """
model modell modèle modelo modello gpt claude nano mini haiku sonnet opus
smaller bigger larger cheaper faster smarter better kleiner größer billiger schneller
petit grand pequeño grande
repo repository repositorium dépôt repositorio
stop stopp stoppe halt hold wait pause quit enough cancel abort aufhören arrête arrêter attends basta
espera para
status progress far long eta ready done yet finished weit fertig lange où avance listo falta cómo
"""
_WORDS = frozenset(_HINTS.split())
_UNDO = frozenset(
    {"undo", "undo that", "undo it", "take it back", "zurück", "rückgängig", "annuler", "deshacer"}
)


def may_be_wish(message: ChatMessage, wording: Wording, repositories: Iterable[str]) -> bool:
    """Whether these words may be about the session: a directive that changes it, or a short message with a
    word in it that such wishes have. repositories: slugs; their last parts are such words too."""
    if wording.repository or (wording.model and not wording.text):
        return True
    if message.attachments or not 0 < len(wording.text) <= LONGEST_WISH:
        return False
    words = set(re.findall(r"[^\W_]+", wording.text.lower()))
    text = wording.text.lower()
    return not _WORDS.isdisjoint(words) or any(_names(text, slug) for slug in repositories)


def _names(text: str, slug: str) -> bool:
    name = slug.lower().rpartition("/")[2]
    return re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text) is not None


def is_undo(text: str) -> bool:
    """Whether these words ask to take the last wish back, and say nothing else."""
    return " ".join(re.findall(r"[^\W_]+", text.lower())) in _UNDO
