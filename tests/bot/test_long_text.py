"""Long text is cut between paragraphs, fits, and loses no word."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bot.long_text import keep_ends, one_line, split_text

PARAGRAPHS = st.lists(st.text(st.sampled_from("ab c\n"), max_size=80), max_size=12).map("\n\n".join)


@given(PARAGRAPHS, st.integers(20, 120))
def test_every_piece_fits_and_no_letter_is_lost(text: str, limit: int) -> None:
    pieces = split_text(text, limit)
    assert all(len(piece) <= limit for piece in pieces)
    assert "".join("".join(pieces).split()) == "".join(text.split())


def test_paragraphs_stay_whole_where_they_fit() -> None:
    assert split_text("one two\n\nthree four\n\nfive", 20) == ["one two\n\nthree four", "five"]


def test_what_has_no_border_is_cut_all_the_same() -> None:
    assert split_text("x" * 25, 10) == ["x" * 10, "x" * 10, "x" * 5]


def test_a_cut_fence_is_closed_and_opened_again() -> None:
    code = "\n".join(f"line {n}" for n in range(20))
    pieces = split_text(f"Look:\n\n```python\n{code}\n```\n\nDone.", 60)
    fenced = [piece for piece in pieces if "line" in piece]
    assert len(fenced) > 1
    assert all(piece.count("```") % 2 == 0 for piece in pieces)
    assert all("```python\n" in piece for piece in fenced)
    assert pieces[-1].endswith("Done.")


def test_the_measure_decides_what_fits() -> None:
    pieces = split_text("&" * 100, 50, lambda text: len(text.replace("&", "&amp;")))
    assert [len(piece) for piece in pieces] == [10] * 10


def test_of_very_long_text_the_beginning_and_the_conclusion_stay() -> None:
    pieces = [f"piece {n}" for n in range(9)]
    assert keep_ends(pieces, 4, "…") == ["piece 0", "piece 1", "…", "piece 8"]
    assert keep_ends(pieces[:4], 4, "…") == pieces[:4]


def test_one_line_is_one_line() -> None:
    assert one_line("a\n  b\tc", 10) == "a b c"
    assert one_line("abcdefghij", 5) == "abcd…"
