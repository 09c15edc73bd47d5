"""The frame of the attacks: a success is told from a breakage, and every proof fits the code as it is."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.attacks.frame import (
    AttackSucceeded,
    Control,
    ProofOutOfDate,
    attack_file,
    attack_names,
    refuted,
    success_in,
)
from tests.attacks.prove import outcome_of
from tests.provision.places import CHECKOUT

REPORT = "<testsuites><testsuite>{}</testsuite></testsuites>"
FAILED, SKIPPED = '<failure message="no"/>', '<skipped message="needs docker"/>'
NOTED = '<properties><property name="attack succeeded" value="the key left"/></properties>'


@pytest.mark.parametrize("name", attack_names())
def test_every_attack_file_names_its_parts_and_controls_that_are_there(name: str) -> None:
    attack = attack_file(name)
    for control in attack.controls:
        assert control.text_without(CHECKOUT) != (CHECKOUT / control.path).read_text()


def test_a_control_is_taken_away_only_where_it_is_found_once(tmp_path: Path) -> None:
    (tmp_path / "door.py").write_text("check()\nopen()\nopen()\n")
    Control("door.py", (("check()\n", ""),)).taken_away(tmp_path)
    assert (tmp_path / "door.py").read_text() == "open()\nopen()\n"
    for control in (Control("door.py", (("check()", ""),)), Control("door.py", (("open()", ""),))):
        with pytest.raises(ProofOutOfDate, match="not once"):
            control.taken_away(tmp_path)
    with pytest.raises(ProofOutOfDate, match="not there"):
        Control("gate.py", (("check()", ""),)).taken_away(tmp_path)


def test_a_success_is_found_however_the_house_falls_down_around_it() -> None:
    refuted(True, "nothing")
    with pytest.raises(AttackSucceeded, match="the key left") as plain:
        refuted(False, "the key left")
    assert success_in(plain.value) == "the key left"
    assert success_in(ExceptionGroup("house", [ValueError(), ExceptionGroup("x", [plain.value])])) is not None
    with pytest.raises(ValueError, match="left over") as later:
        leave_after(plain.value)
    assert success_in(later.value) == "the key left"
    assert success_in(AssertionError("the test broke")) is None


def leave_after(error: BaseException) -> None:
    """Something fails while the error passes through."""
    try:
        raise error
    finally:
        raise ValueError("left over")


@pytest.mark.parametrize(
    ("cases", "end", "said"),
    [
        (["<testcase/>"], "refuted", ""),
        ([f"<testcase>{NOTED}{FAILED}</testcase>"], "succeeded", "the key left"),
        ([f"<testcase>{FAILED}</testcase>"], "broken", "the output"),
        ([f"<testcase>{SKIPPED}</testcase>"], "skipped", "needs docker"),
        ([f"<testcase>{NOTED}{FAILED}</testcase>", "<testcase/>"], "broken", "the output"),
        ([], "broken", "the output"),
    ],
)
def test_a_proof_is_what_all_of_its_tests_come_to(
    tmp_path: Path, cases: list[str], end: str, said: str
) -> None:
    (tmp_path / "report.xml").write_text(REPORT.format("".join(cases)))
    outcome = outcome_of(tmp_path / "report.xml", "the output")
    assert (outcome.end, outcome.said) == (end, said)


def test_a_run_without_a_report_is_broken(tmp_path: Path) -> None:
    assert outcome_of(tmp_path / "report.xml", f"{sys.executable}: no pytest").end == "broken"
