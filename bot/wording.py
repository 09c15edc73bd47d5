"""What people write, read plainly: a wish to stop or to link an account; `!model`, `!repo`, `!branch`."""

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
_ACCOUNTS = frozenset(
    {"", "github", "account", "my account", "my github", "github account", "my github account"}
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
    return _bare(text) in _STOP_WORDS


def is_link(text: str) -> bool:
    """Whether these words ask to link the writer's GitHub account (`link github`), and say nothing else."""
    verb, _, account = _bare(text).partition(" ")
    return (verb == "link" and account in _ACCOUNTS) or (verb == "connect" and account in _ACCOUNTS - {""})


def is_unlink(text: str) -> bool:
    """Whether these words ask to unlink the writer's GitHub account, and say nothing else."""
    verb, _, account = _bare(text).partition(" ")
    return (verb == "unlink" and account in _ACCOUNTS) or (
        verb == "disconnect" and account in _ACCOUNTS - {""}
    )


def _bare(text: str) -> str:
    """The words without signs, in small letters, one blank between them."""
    return " ".join(re.sub(r"[^\w\s]", " ", text.lower()).split())
