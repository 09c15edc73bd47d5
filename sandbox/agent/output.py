"""Cutting tool output to what a model should read: head and tail, without terminal colours."""

from __future__ import annotations

import re
from dataclasses import dataclass

MAX_LINES = 2000
MAX_BYTES = 50 * 1024
HEAD_SHARE = 0.3
"""Errors come last, so more of the tail is kept than of the head."""

# Source: ECMA-48, 5.4 (control sequences) and 8.3.89 (operating system command)
ESCAPES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)"
    r"|\x1b[PX^_][^\x1b]*\x1b\\"
    r"|\x1b[ -/]*[0-~]"
)
CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class InlineOutput:
    """Output as the model is shown it; `total_bytes` counts what there was before anything was cut."""

    text: str
    total_bytes: int
    cut: bool


def inline(text: str, *, max_lines: int = MAX_LINES, max_bytes: int = MAX_BYTES) -> InlineOutput:
    """At most `max_lines` lines and `max_bytes` bytes of `text`: head, tail, and a line on what is
    missing."""
    clean = strip_terminal(text)
    total_bytes = len(clean.encode("utf-8", "replace"))
    lines = clean.split("\n")
    if len(lines) <= max_lines and total_bytes <= max_bytes:
        return InlineOutput(clean, total_bytes, cut=False)
    head_lines = int(max_lines * HEAD_SHARE)
    head = lines[:head_lines] if len(lines) > max_lines else lines
    tail = lines[len(lines) - (max_lines - head_lines) :] if len(lines) > max_lines else []
    left_out = len(lines) - len(head) - len(tail)
    front, back = "\n".join(head), "\n".join(tail)
    if not tail:
        front, back = clean, clean
    head_bytes = int(max_bytes * HEAD_SHARE)
    front = _first_bytes(front, head_bytes)
    back = _last_bytes(back, max_bytes - head_bytes)
    lines_said = f"{left_out} lines and more, " if left_out else ""
    gap = f"\n[… {lines_said}{total_bytes - len(front.encode()) - len(back.encode())} bytes left out …]\n"
    return InlineOutput(f"{front}{gap}{back}", total_bytes, cut=True)


def strip_terminal(text: str) -> str:
    """The text without escape sequences and control characters; of a line that was redrawn, the last
    state."""
    text = CONTROLS.sub("", ESCAPES.sub("", text).replace("\r\n", "\n"))
    if "\r" not in text:
        return text
    return "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n"))


def _first_bytes(text: str, limit: int) -> str:
    return text.encode("utf-8", "replace")[:limit].decode("utf-8", "ignore")


def _last_bytes(text: str, limit: int) -> str:
    data = text.encode("utf-8", "replace")
    return data[max(len(data) - limit, 0) :].decode("utf-8", "ignore")
