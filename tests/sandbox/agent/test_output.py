"""Output is cut to a bound, with its end kept, and without what only terminals understand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.agent.output import MAX_BYTES, MAX_LINES, inline, strip_terminal


def test_short_output_is_left_alone() -> None:
    shown = inline("two\nlines\n")
    assert (shown.text, shown.cut, shown.total_bytes) == ("two\nlines\n", False, 10)


def test_many_lines_keep_head_and_more_of_the_tail() -> None:
    shown = inline("\n".join(str(number) for number in range(10_000)))
    assert shown.cut
    assert shown.text.startswith("0\n1\n")
    assert shown.text.endswith("\n9999")
    assert "8000 lines" in shown.text
    assert len(shown.text.split("\n")) <= MAX_LINES + 3


def test_one_long_line_is_cut_by_bytes() -> None:
    shown = inline("é" * 100_000 + "END")
    assert shown.text.endswith("END")
    assert len(shown.text.encode()) < MAX_BYTES + 200
    assert shown.total_bytes == 200_003


@given(st.text(max_size=400), st.integers(1, 20), st.integers(10, 200))
def test_the_bound_holds(text: str, lines: int, size: int) -> None:
    shown = inline(text, max_lines=lines, max_bytes=size)
    assert len(shown.text.encode("utf-8", "replace")) <= size + 120
    assert shown.cut or shown.text == strip_terminal(text)


@pytest.mark.parametrize(
    ("raw", "plain"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]8;;http://x\x07link\x1b]8;;\x07", "link"),
        ("10%\r50%\r100%\ndone", "100%\ndone"),
        ("a\r\nb", "a\nb"),
        ("bell\x07 null\x00", "bell null"),
    ],
)
def test_terminal_sequences_are_gone(raw: str, plain: str) -> None:
    assert strip_terminal(raw) == plain
