"""The bench harness tells a bar that holds from one that does not: on screen, in the file, by exit code."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest
from rich.console import Console

from tests.benchmarks.__main__ import benchmark_names, run_benchmark
from tests.benchmarks.report import Bar, Figure, Report


@pytest.mark.parametrize(
    ("comparison", "value", "holds"),
    [
        ("<=", 5.0, True),
        ("<=", 5.1, False),
        ("<", 5.0, False),
        ("<", 4.9, True),
        (">=", 5.0, True),
        (">=", 4.9, False),
        (">", 5.0, False),
        (">", 5.1, True),
        ("<=", float("nan"), False),
        (">=", float("nan"), False),
    ],
)
def test_a_bar_holds_or_not(comparison: str, value: float, holds: bool) -> None:
    assert Bar(comparison, 5.0).holds(value) is holds  # type: ignore[arg-type]


def test_figures_are_written_with_their_bars(tmp_path: Path) -> None:
    report = Report("queue")
    report.add("start", 14.0, "ms", at_most=20)
    report.add("claims", 90.0, "1/s", at_least=100)
    report.add("bare", 3.0, "ms")
    assert json.loads(report.write(tmp_path / "bench").read_text()) == {
        "figures": {
            "start": {"value": 14.0, "unit": "ms", "bar": "<= 20", "holds": True},
            "claims": {"value": 90.0, "unit": "1/s", "bar": ">= 100", "holds": False},
            "bare": {"value": 3.0, "unit": "ms", "bar": None, "holds": True},
        }
    }
    assert not report.holds


def test_a_report_without_figures_does_not_hold() -> None:
    assert not Report("empty").holds


def test_a_figure_is_noted_once_and_has_one_bar() -> None:
    report = Report("queue")
    report.add("start", 1, "ms")
    with pytest.raises(ValueError, match="noted before"):
        report.add_figure("start", Figure(1, "ms", None))
    with pytest.raises(ValueError, match="one bar"):
        report.add("other", 1, "ms", at_most=1, at_least=1)


@pytest.mark.parametrize(("bar", "holds"), [(10, True), (1, False)])
async def test_a_benchmark_is_found_by_its_file_and_run(tmp_path: Path, bar: int, holds: bool) -> None:
    # An importable folder of its own for each case, or the second would get the first one's module.
    package = f"benchmarks_with_bar_{bar}"
    folder = tmp_path / package
    folder.mkdir()
    for name in ("__init__", "report", "_shared"):
        (folder / f"{name}.py").write_text("")
    source = f"async def run(report):\n    report.add('pass', 2.5, 'ms', at_most={bar})\n"
    (folder / "fast.py").write_text(source)
    screen = io.StringIO()
    sys.path.append(str(tmp_path))
    try:
        assert benchmark_names(folder) == ["fast"]
        assert await run_benchmark("fast", Console(file=screen, width=80), tmp_path / "out", package) is holds
    finally:
        sys.path.remove(str(tmp_path))
    assert ("NO" in screen.getvalue()) is not holds
    assert (tmp_path / "out" / "fast.json").exists()
