"""A session's changes, file by file, coloured for reading."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from markupsafe import Markup
from pydantic import TypeAdapter, ValidationError
from pygments.lexers import get_lexer_for_filename
from pygments.util import ClassNotFound

from companion_web.markup import MAX_COLOURED_CODE, code_spans, visible
from session.people import Declared

MAX_LINES_OF_A_FILE = 2_000
"""Lines of one file that are shown; the whole patch is in the artifact."""

OPEN_LINES = 400
"""A file with more changed lines than this starts folded."""

_HUNK = re.compile(r"^@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@(.*)$")


class FilePatch(Declared):
    """One file of a diff artifact; `patch` is the unified diff of that file."""

    path: str
    old_path: str | None = None
    status: str = "modified"
    insertions: int = 0
    deletions: int = 0
    patch: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a diff; the numbers are None on the side that lacks it."""

    kind: Literal["same", "added", "removed", "hunk", "meta"]
    old: int | None
    new: int | None
    html: Markup


@dataclass(frozen=True, slots=True)
class FileDiff:
    """One file, ready to show; `cut` counts lines left out."""

    patch: FilePatch
    lines: tuple[Line, ...]
    folded: bool
    cut: int


class UnreadableDiff(Exception):
    """The artifact does not hold a list of patches."""


_PATCHES = TypeAdapter(tuple[FilePatch, ...])


def read_patches(content: bytes) -> tuple[FilePatch, ...]:
    """The patches in a diff artifact.

    Raises: UnreadableDiff.
    """
    try:
        return _PATCHES.validate_json(content)
    except ValidationError as error:
        raise UnreadableDiff("the stored diff cannot be read") from error


def show(patch: FilePatch) -> FileDiff:
    """The file's diff with coloured lines."""
    rows = patch.patch.splitlines()
    kept = rows[:MAX_LINES_OF_A_FILE]
    colours = _colours(patch.path, kept)
    return FileDiff(
        patch=patch,
        lines=tuple(_lines(kept, colours)),
        folded=patch.insertions + patch.deletions > OPEN_LINES,
        cut=len(rows) - len(kept),
    )


def _colours(path: str, rows: list[str]) -> dict[int, Markup]:
    """The code of each hunk row, coloured: old and new text apart, so that each reads as whole code."""
    try:
        lexer = get_lexer_for_filename(path, stripnl=False, ensurenl=False)
    except ClassNotFound:
        return {}
    found: dict[int, Markup] = {}
    for side in ("-", "+"):
        picked = [i for i, row in enumerate(rows) if row[:1] in (" ", side) and not row.startswith(side * 3)]
        code = "\n".join(rows[i][1:] for i in picked)
        if len(code) <= MAX_COLOURED_CODE:
            found.update(zip(picked, code_spans(code, lexer), strict=False))
    return found


def _lines(rows: list[str], colours: dict[int, Markup]) -> Iterator[Line]:
    old = new = 0
    for number, row in enumerate(rows):
        hunk = _HUNK.match(row)
        if hunk:
            old, new = int(hunk[1]), int(hunk[2])
            yield Line("hunk", None, None, visible(row))
        elif not old and not new:
            continue  # the file header above the first hunk repeats what the summary says
        elif row.startswith("\\"):
            yield Line("meta", None, None, visible(row[2:]))
        else:
            html = colours.get(number, visible(row[1:]))
            sign = row[:1]
            if sign == "+":
                yield Line("added", None, new, html)
            elif sign == "-":
                yield Line("removed", old, None, html)
            else:
                yield Line("same", old, new, html)
            old += sign != "+"
            new += sign != "-"
