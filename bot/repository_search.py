"""Finding a repository by a part of its name: the likeliest first, so that a short list never hides it."""

from __future__ import annotations

from collections.abc import Iterable

from bot.messages import Choice


def search(choices: Iterable[Choice], typed: str) -> list[Choice]:
    """Those whose name or description has every word that was typed, best first; all, when nothing was.

    A name that is just what was typed comes first, then those that begin with it, then those that have it in
    the name, then the rest; within each in the order given.
    """
    whole = " ".join(typed.lower().split())
    words = whole.split()
    found = [c for c in choices if all(word in f"{c.label} {c.description}".lower() for word in words)]
    return sorted(found, key=lambda choice: _rank(choice.label.lower(), whole))


def _rank(label: str, typed: str) -> int:
    name = label.rpartition("/")[2]
    if typed in (label, name):
        return 0
    if label.startswith(typed) or name.startswith(typed):
        return 1
    return 2 if typed in label else 3
