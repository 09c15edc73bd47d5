"""Which files a change needs an approval for, told by patterns as in CODEOWNERS and .gitignore."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

# What changes who may do what, what runs where, or what an agent is told.
ALWAYS_PROTECTED = (
    "/.github/workflows/",
    "/.github/actions/",
    "/CODEOWNERS",
    "/.github/CODEOWNERS",
    "/docs/CODEOWNERS",
    ".gitmodules",
    ".gitattributes",
    ".mcp.json",
    "/.bellhop/",
    "/.agents/",
    "/.claude/",
    "AGENTS.md",
    "CLAUDE.md",
)

_WILDCARD = re.compile(r"\*+|\?")


class ProtectedPaths:
    """The files that always need an approval, and those of a repository's own patterns.

    A pattern with a `/` before its end begins at the top of the repository, another one matches at any depth.
    `*` and `?` stay within one name, `**` does not. What lies below a matched directory is matched. Capitals
    do not matter, since they do not on every disk.
    """

    def __init__(self, patterns: Iterable[str] = ()) -> None:
        self._expressions = tuple(_expression(pattern) for pattern in (*ALWAYS_PROTECTED, *patterns))

    def covers(self, path: str) -> bool:
        """Whether changing that file (relative to the top, with `/`) needs an approval."""
        return any(expression.fullmatch(path) for expression in self._expressions)


@lru_cache(maxsize=1024)
def _expression(pattern: str) -> re.Pattern[str]:
    directory = pattern.endswith("/")
    body = pattern.strip().strip("/")
    anchored = "/" in pattern.strip().rstrip("/")
    parts = [_part(part) for part in body.split("/") if part]
    start = "" if anchored else "(?:.*/)?"
    middle = "/".join(parts).replace(".*/", "(?:.*/)?")
    end = "/.*" if directory else "(?:/.*)?"
    return re.compile(f"{start}{middle}{end}", re.IGNORECASE | re.DOTALL)


def _part(part: str) -> str:
    if part == "**":
        return ".*"
    pieces = []
    position = 0
    for found in _WILDCARD.finditer(part):
        pieces.append(re.escape(part[position : found.start()]))
        pieces.append("[^/]" if found[0] == "?" else "[^/]*")
        position = found.end()
    return "".join([*pieces, re.escape(part[position:])])
