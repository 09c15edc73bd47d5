"""The journal's files: what a death in the midst of writing leaves, and what earlier runners wrote."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sandbox.runner.journal import Journal, digest_of
from sandbox.runner.refusal import Refused

ARGS = {"call_id": "c1", "command": "true"}


def only_file(directory: Path) -> Path:
    (found,) = directory.glob("*.json")
    return found


def test_a_call_is_begun_and_then_has_its_result(tmp_path: Path) -> None:
    journal = Journal(str(tmp_path))
    assert journal.find("c1", "exec", ARGS) is None
    journal.begin("c1", "exec", ARGS)
    begun = journal.find("c1", "exec", ARGS)
    assert begun is not None
    assert begun.result is None
    journal.finish("c1", {"exit_code": 0, "output": "two\nlines"})
    done = Journal(str(tmp_path)).find("c1", "exec", ARGS)
    assert done is not None
    assert done.result == {"exit_code": 0, "output": "two\nlines"}
    with pytest.raises(Refused, match="for another call"):
        journal.find("c1", "exec", {**ARGS, "command": "false"})
    journal.forget("c1")
    assert journal.find("c1", "exec", ARGS) is None
    journal.finish("c1", {"exit_code": 0})
    assert journal.find("c1", "exec", ARGS) is None


@pytest.mark.parametrize("kept", ["", '{"opera', "begin", "begin and half the end"])
def test_what_was_cut_short_is_a_call_whose_end_nobody_knows(tmp_path: Path, kept: str) -> None:
    journal = Journal(str(tmp_path))
    journal.begin("c1", "exec", ARGS)
    begin = only_file(tmp_path).read_text()
    only_file(tmp_path).write_text(
        {"begin": begin, "begin and half the end": begin + '{"exit_code"'}.get(kept, kept)
    )
    found = journal.find("c1", "exec", ARGS)
    assert found is not None
    assert found.result is None


def test_the_journal_of_an_earlier_runner_is_read(tmp_path: Path) -> None:
    journal = Journal(str(tmp_path))
    journal.begin("c1", "exec", ARGS)
    content = {"operation": "exec", "digest": digest_of("exec", ARGS), "result": {"exit_code": 7}}
    only_file(tmp_path).write_text(json.dumps(content))
    found = journal.find("c1", "exec", ARGS)
    assert found is not None
    assert found.result == {"exit_code": 7}
