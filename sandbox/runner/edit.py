"""Finding the text that an edit means, from exact to forgiving, and never two places at once."""

from __future__ import annotations

import difflib
from typing import Callable, NamedTuple

from .refusal import Refused

NEAREST_LINES = 12
MOST_LINES_COMPARED = 20_000


class Edit(NamedTuple):
    """The text after an edit, how many places changed and how they were found."""

    text: str
    replacements: int
    matched_by: str


def replaced(before: str, old: str, new: str, replace_all: bool) -> Edit:
    """`before` with `old` replaced everywhere, or at its only place.

    Raises: Refused when there is no place, or several and not `replace_all`.
    """
    if not old:
        raise Refused("the text to replace is empty: write the file instead")
    if old == new:
        raise Refused("the new text is the same as the old")
    count = before.count(old)
    if count:
        if count > 1 and not replace_all:
            raise Refused(_several(_lines_of(before, old)))
        return Edit(before.replace(old, new), count, "exact")
    for matched_by, key in (("trailing whitespace", str.rstrip), ("indentation", str.strip)):
        edit = _by_lines(before, old, new, replace_all, matched_by, key)
        if edit is not None:
            return edit
    raise Refused("the text to replace is not in the file. " + _nearest(before, old))


def _by_lines(
    before: str, old: str, new: str, replace_all: bool, matched_by: str, key: Callable[[str], str]
) -> Edit | None:
    """Whole lines that are equal under `key`; None when there are none."""
    lines, wanted = before.splitlines(keepends=True), old.splitlines()
    while wanted and not wanted[-1].strip():
        wanted.pop()
    while wanted and not wanted[0].strip():
        wanted.pop(0)
    if not wanted:
        return None
    keys, sought = [key(line) for line in lines], [key(line) for line in wanted]
    starts: list[int] = []
    for start in range(len(keys) - len(sought) + 1):
        clear = not starts or start >= starts[-1] + len(sought)
        if clear and keys[start] == sought[0] and keys[start : start + len(sought)] == sought:
            starts.append(start)
    if not starts:
        return None
    if len(starts) > 1 and not replace_all:
        raise Refused(_several([start + 1 for start in starts]))
    for start in reversed(starts):
        block = lines[start : start + len(sought)]
        lines[start : start + len(sought)] = _fitted(new, wanted, block)
    return Edit("".join(lines), len(starts), matched_by)


def _fitted(new: str, wanted: list[str], block: list[str]) -> list[str]:
    """The new lines with the indentation and the line ends of the block they replace."""
    said, found = _indentation(wanted[0]), _indentation(block[0])
    ending = "\r\n" if block[0].endswith("\r\n") else "\n"
    fitted = []
    for line in new.strip("\r\n").splitlines() if new.strip() else []:
        if said != found and line.strip() and line.startswith(said):
            line = found + line[len(said) :]
        fitted.append(line + ending)
    if fitted and not block[-1].endswith("\n"):
        fitted[-1] = fitted[-1][: -len(ending)]
    return fitted


def _indentation(line: str) -> str:
    return line[: len(line) - len(line.lstrip())]


def _lines_of(before: str, old: str) -> list[int]:
    lines, position = [], before.find(old)
    while position >= 0:
        lines.append(before.count("\n", 0, position) + 1)
        position = before.find(old, position + len(old))
    return lines


def _several(lines: list[int]) -> str:
    shown = ", ".join(str(line) for line in lines[:10])
    return (
        f"the text to replace is in {len(lines)} places (lines {shown}): "
        "give more of what surrounds it, or replace all"
    )


def _nearest(before: str, old: str) -> str:
    lines, wanted = before.splitlines()[:MOST_LINES_COMPARED], old.strip("\r\n").splitlines()
    if not lines:
        return "The file is empty."
    sought = next(line.strip() for line in wanted if line.strip()) if old.strip() else ""
    matcher = difflib.SequenceMatcher(autojunk=False)
    matcher.set_seq2(sought)
    best, best_ratio = 0, 0.0
    for number, line in enumerate(lines):
        matcher.set_seq1(line.strip()[:500])
        if matcher.real_quick_ratio() > best_ratio and matcher.quick_ratio() > best_ratio:
            ratio = matcher.ratio()
            if ratio > best_ratio:
                best, best_ratio = number, ratio
    if best_ratio < 0.4:
        return "Nothing in it looks alike: read the file again."
    start, end = max(0, best - 2), min(len(lines), best + max(len(wanted), 3) + 2)
    end = min(end, start + NEAREST_LINES)
    shown = "\n".join(f"{number + 1}: {lines[number][:300]}" for number in range(start, end))
    return f"The nearest lines are:\n{shown}"
