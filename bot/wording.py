"""What people write, read plainly: a wish to stop, a code to link, a leading `!model`, `!repo`, `!branch`."""

from __future__ import annotations

import re
from dataclasses import dataclass

_STOP_WORDS = frozenset(
    {
        "stop",
        "stop it",
        "stop that",
        "stop now",
        "stop please",
        "please stop",
        "halt",
        "abort",
        "cancel",
        "cancel that",
        "stopp",
        "bitte stopp",
        "para",
        "arrête",
    }
)
_DIRECTIVE = re.compile(r"^\s*!(model|repo|repository|branch)[ \t:=]+(\S+)[ \t]*\n?", re.IGNORECASE)

# Codes are 43 characters of base64url; shorter words after "link" are a request about links.
_LINK = re.compile(r"^\s*link\s+`?([\w-]{40,64})`?\s*$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Wording:
    """A request without its leading directives; None: not given."""

    text: str
    model: str | None = None
    repository: str | None = None
    branch: str | None = None


def read_wording(text: str) -> Wording:
    """The request and the directives in front of it, of each the last one given."""
    found: dict[str, str] = {}
    while match := _DIRECTIVE.match(text):
        name = match.group(1).lower()
        found["repository" if name == "repo" else name] = match.group(2).strip("`'\",;")
        text = text[match.end() :]
    return Wording(text.strip(), found.get("model"), found.get("repository"), found.get("branch"))


def link_code(text: str) -> str | None:
    """The code in `link CODE`, with which somebody makes this chat account theirs; None for other words."""
    match = _LINK.match(text)
    return match.group(1) if match else None


def is_stop(text: str) -> bool:
    """Whether these words ask to stop, and say nothing else."""
    return " ".join(re.sub(r"[^\w\s]", " ", text.lower()).split()) in _STOP_WORDS
