"""Long text in pieces: cut between paragraphs, never through the conclusion."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

Measure = Callable[[str], int]

_FENCE = re.compile(r"^\s*(```|~~~)")


def split_text(text: str, limit: int, measure: Measure = len) -> list[str]:
    """The text in pieces of at most `limit` as `measure` counts, cut at paragraphs where that is possible.

    A paragraph that is too long itself is cut between lines, then between words, then anywhere; a fenced
    block that is cut is closed and opened again. No text gives one empty piece.
    """
    pieces: list[str] = []
    for part in _fitting(_paragraphs(text), limit, measure):
        joined = f"{pieces[-1]}\n\n{part}" if pieces else part
        if pieces and measure(joined) <= limit:
            pieces[-1] = joined
        else:
            pieces.append(part)
    return pieces or [""]


def keep_ends(pieces: list[str], most: int, notice: str) -> list[str]:
    """At most `most` pieces: the first ones and the last, with the conclusion; `notice` between them."""
    if len(pieces) <= most:
        return pieces
    return [*pieces[: most - 2], notice, pieces[-1]]


def one_line(text: str, limit: int) -> str:
    """The text on one line of at most `limit` characters, with an ellipsis where something was left out."""
    flat = " ".join(text.split())
    return flat if len(flat) <= limit else flat[: limit - 1].rstrip() + "…"


def _paragraphs(text: str) -> Iterator[str]:
    lines: list[str] = []
    fenced = False
    for line in text.strip("\n").splitlines():
        if _FENCE.match(line):
            fenced = not fenced
        if not line.strip() and not fenced:
            if lines:
                yield "\n".join(lines)
            lines = []
        else:
            lines.append(line)
    if lines:
        yield "\n".join(lines)


def _fitting(paragraphs: Iterator[str], limit: int, measure: Measure) -> Iterator[str]:
    for paragraph in paragraphs:
        if measure(paragraph) <= limit:
            yield paragraph
        elif _FENCE.match(paragraph):
            yield from _cut_fence(paragraph, limit, measure)
        else:
            yield from _cut(paragraph, limit, measure)


def _cut_fence(block: str, limit: int, measure: Measure) -> Iterator[str]:
    opening, *body = block.splitlines()
    if body and _FENCE.match(body[-1]):
        body.pop()
    fence = "```" if "```" in opening else "~~~"
    room = limit - measure(f"{opening}\n\n{fence}")
    if room < 16:
        yield from _cut(block, limit, measure)
        return
    for piece in _cut("\n".join(body), room, measure):
        yield f"{opening}\n{piece}\n{fence}"


def _cut(text: str, limit: int, measure: Measure) -> Iterator[str]:
    rest = text
    # Measuring costs more than counting, and no mark-up shrinks to half.
    while len(rest) > 2 * limit or measure(rest) > limit:
        end = _longest(rest, limit, measure)
        border = max(rest.rfind("\n", 0, end), 0) or max(rest.rfind(" ", 0, end), 0)
        # A border in the first third would leave a stump: then a word is cut instead.
        cut = border if border > end // 3 else end
        yield rest[:cut]
        rest = rest[cut:].lstrip("\n ") if cut == border else rest[cut:]
    if rest:
        yield rest


def _longest(text: str, limit: int, measure: Measure) -> int:
    """How many characters of `text` fit, at least one."""
    low, high = 1, min(len(text), limit)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if measure(text[:middle]) <= limit else (low, middle - 1)
    return low
