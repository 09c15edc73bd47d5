"""The journal's files: what a death in the midst of a line leaves, and how long calls are kept."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sandbox.runner.journal import SEGMENT_CALLS, Journal
from sandbox.runner.refusal import Refused

ARGS = {"call_id": "c1", "command": "true"}
RESULT: dict[str, object] = {"exit_code": 0, "output": "two\nlines and a lone \udce9"}


def result_of(journal: Journal, call_id: str) -> object:
    """What is known of a call's end; "new" of one that is not known."""
    entry = journal.find(call_id, "exec", ARGS)
    return "new" if entry is None else entry.result


def test_a_call_is_begun_and_then_has_its_result_in_the_next_life_too(tmp_path: Path) -> None:
    journal = Journal(str(tmp_path))
    assert result_of(journal, "c1") == "new"
    journal.begin("c1", "exec", ARGS)
    assert result_of(journal, "c1") is None
    journal.finish("c1", "exec", ARGS, RESULT)
    journal.begin("c2 with a blank", "exec", ARGS)
    for _ in range(3):
        journal = Journal(str(tmp_path))
        assert result_of(journal, "c1") == RESULT
        assert result_of(journal, "c2 with a blank") is None
    with pytest.raises(Refused, match="for another call"):
        journal.find("c1", "exec", {**ARGS, "command": "false"})


def test_a_call_that_is_forgotten_is_new(tmp_path: Path) -> None:
    journal = Journal(str(tmp_path))
    journal.begin("c1", "exec", ARGS)
    journal.forget("c1")
    journal.forget("never heard of")
    for each in (journal, Journal(str(tmp_path))):
        assert result_of(each, "c1") == "new"


@pytest.mark.parametrize("cut", [1, 20, 70, 120])
def test_a_line_that_was_cut_short_does_not_count(tmp_path: Path, cut: int) -> None:
    journal = Journal(str(tmp_path))
    journal.begin("c1", "exec", ARGS)
    begun = (tmp_path / "1.log").stat().st_size
    journal.finish("c1", "exec", ARGS, RESULT)
    os.truncate(tmp_path / "1.log", begun + cut)
    again = Journal(str(tmp_path))
    assert result_of(again, "c1") is None
    again.begin("c2", "exec", ARGS)
    again.finish("c2", "exec", ARGS, RESULT)
    assert [result_of(Journal(str(tmp_path)), call_id) for call_id in ("c1", "c2")] == [None, RESULT]


def test_the_newest_calls_are_kept(tmp_path: Path) -> None:
    journal = Journal(str(tmp_path))
    last = 2 * SEGMENT_CALLS + 10
    for number in range(last):
        journal.begin(f"c{number}", "exec", ARGS)
        journal.finish(f"c{number}", "exec", ARGS, {"exit_code": number})
    for each in (journal, Journal(str(tmp_path))):
        assert result_of(each, "c0") == "new"
        for kept in (SEGMENT_CALLS, last - 1):
            assert result_of(each, f"c{kept}") == {"exit_code": kept}
    assert len(list(tmp_path.iterdir())) == 2
