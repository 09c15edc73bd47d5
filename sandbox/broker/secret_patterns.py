"""A first form of the secret scan: well-known token shapes that identify themselves by a prefix.

It finds what it lists and nothing else; passwords and keys without a shape of their own pass. A scanner with
entropy rules can take its place behind `secrets_in`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MAX_LINE_CHARACTERS = 20_000
SHOWN_CHARACTERS = 8

PATTERNS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("a private key", re.compile(r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----")),
    ("a GitHub token", re.compile(r"\bgh[pousr]_[A-Za-z0-9._-]{36,}")),
    ("a GitHub token", re.compile(r"\bgithub_pat_[A-Za-z0-9_]{40,}")),
    ("a GitLab token", re.compile(r"\bglpat-[A-Za-z0-9_-]{20,}")),
    ("an AWS access key", re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b")),
    ("a Slack token", re.compile(r"\bx(?:ox[abeoprs]|app)-[A-Za-z0-9-]{10,}")),
    ("a Slack webhook", re.compile(r"hooks\.slack\.com/services/T[A-Z0-9]+/B[A-Z0-9]+/[A-Za-z0-9]{16,}")),
    ("an OpenAI or Anthropic key", re.compile(r"\bsk-(?:[a-z]+[0-9]*-)*[A-Za-z0-9_-]{32,}")),
    ("a Stripe key", re.compile(r"\b[rs]k_live_[A-Za-z0-9]{16,}")),
    ("a Google API key", re.compile(r"\bAIza[A-Za-z0-9_-]{35}")),
    ("an npm token", re.compile(r"\bnpm_[A-Za-z0-9]{36}\b")),
    ("a PyPI token", re.compile(r"\bpypi-[A-Za-z0-9_-]{50,}")),
    ("a Discord bot token", re.compile(r"\b[MNO][A-Za-z0-9_-]{23,27}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27,}")),
)


@dataclass(frozen=True, slots=True)
class SecretHit:
    """What a piece of text looks like, and enough of its beginning to find it again."""

    what: str
    shown: str


def secrets_in(text: str) -> list[SecretHit]:
    """What looks like a credential in the text; very long lines are read in overlapping pieces."""
    step = MAX_LINE_CHARACTERS // 2
    pieces = [text[start : start + MAX_LINE_CHARACTERS] for start in range(0, max(len(text), 1), step)]
    hits = [
        SecretHit(what, f"{match[0][:SHOWN_CHARACTERS]}…")
        for piece in pieces
        for what, pattern in PATTERNS
        for match in pattern.finditer(piece)
    ]
    return list(dict.fromkeys(hits))
