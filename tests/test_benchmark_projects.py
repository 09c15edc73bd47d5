"""What the benchmark of real projects reads from the last words of their test suites."""

from __future__ import annotations

import pytest

from tests.benchmarks._project_house import NotAsExpected
from tests.benchmarks.projects import counted


@pytest.mark.parametrize(
    ("said", "verdict"),
    [
        ("x\n====== 1 failed, 1376 passed, 8 skipped, 1 xfailed in 46.29s ======\n", (1376, 1, 8)),
        # Numbers in front of the last line are the tests' own.
        ("30 failed logins\n2 passed, 1 error in 0.1s\n[exit code 1]", (2, 1, 0)),
        ("ok 153 equal\n\n1..153\n# tests 153\n# pass  151\n# fail  2\n", (151, 2, 0)),
    ],
)
def test_the_counts_of_a_suite_are_read(said: str, verdict: tuple[int, int, int]) -> None:
    assert counted(said, 1.0).verdict == verdict


def test_a_suite_that_did_not_run_is_no_count() -> None:
    with pytest.raises(NotAsExpected, match="No module named pytest"):
        counted("bash: No module named pytest\n[exit code 1]", 1.0)
