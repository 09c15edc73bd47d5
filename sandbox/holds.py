"""What keeps work from leaving, as people read it: which file, which commit, never what is in it."""

from __future__ import annotations

from collections.abc import Iterable

from sandbox.broker.inspection import Finding
from sandbox.broker.secret_patterns import secrets_in
from session.vocabulary import Hold, HoldKind

MOST_TOLD = 20
MOST_CHARACTERS = 300
NAMELESS = "a file whose name looks like a secret"
WORDLESS = "It was refused with words that look like a secret."


def holds_of(findings: Iterable[Finding]) -> tuple[Hold, ...]:
    """Which of the findings keep work back: each file once for one reason, at most `MOST_TOLD`."""
    holds: dict[tuple[str, str, str], Hold] = {}
    for finding in findings:
        if finding.blocking:
            kind: HoldKind = "secret" if finding.kind == "secret" else "commit"
            path = _fit(finding.path, NAMELESS)
            hold = Hold(kind=kind, what=finding.what, path=path, commit=finding.commit)
            holds.setdefault(hold.key, hold)
    return tuple(holds.values())[:MOST_TOLD]


def refusal(kind: HoldKind, sentence: str) -> Hold:
    """Work that is not let out as a whole, for the reason in the sentence."""
    return Hold(kind=kind, what=_fit(sentence, WORDLESS))


def _fit(text: str, instead: str) -> str:
    """The text on one line of bounded length; `instead` where it holds what looks like a secret."""
    flat = " ".join(text.split())
    if secrets_in(flat):
        return instead
    return flat if len(flat) <= MOST_CHARACTERS else f"{flat[: MOST_CHARACTERS - 1]}…"
