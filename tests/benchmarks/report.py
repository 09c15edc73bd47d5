"""A benchmark's figures: each with its unit and the bar it has to hold, as a table and as a file."""

from __future__ import annotations

import json
import operator
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.table import Table

Comparison = Literal["<=", "<", ">=", ">"]

_COMPARE: dict[Comparison, Callable[[float, float], bool]] = {
    "<=": operator.le,
    "<": operator.lt,
    ">=": operator.ge,
    ">": operator.gt,
}


@dataclass(frozen=True, slots=True)
class Bar:
    """What a figure has to hold: `value <comparison> limit`."""

    comparison: Comparison
    limit: float

    def holds(self, value: float) -> bool:
        """Whether the value holds the bar; one that is not a number never does."""
        return _COMPARE[self.comparison](value, self.limit)

    def __str__(self) -> str:
        return f"{self.comparison} {_number(self.limit)}"


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number. bar: None for a number shown only for comparison."""

    value: float
    unit: str
    bar: Bar | None

    @property
    def holds(self) -> bool:
        """Whether the bar holds; always so without one."""
        return self.bar is None or self.bar.holds(self.value)


class Report:
    """Collects the figures of one benchmark.

    name: the benchmark's name, which is also its file's.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.figures: dict[str, Figure] = {}

    def add(
        self,
        name: str,
        value: float,
        unit: str,
        *,
        at_most: float | None = None,
        at_least: float | None = None,
    ) -> None:
        """Note a figure; `at_most` or `at_least` is its bar, neither means that it is shown for comparison.

        Raises: ValueError for a name noted before or for two bars.
        """
        if at_most is not None and at_least is not None:
            raise ValueError(f"figure {name!r} has one bar, not two")
        bar = Bar("<=", at_most) if at_most is not None else None
        bar = Bar(">=", at_least) if at_least is not None else bar
        self.add_figure(name, Figure(value, unit, bar))

    def add_figure(self, name: str, figure: Figure) -> None:
        """Note a figure with any bar.

        Raises: ValueError for a name noted before.
        """
        if name in self.figures:
            raise ValueError(f"figure {name!r} of benchmark {self.name} was noted before")
        self.figures[name] = figure

    @property
    def holds(self) -> bool:
        """Whether the benchmark measured anything and every bar holds."""
        return bool(self.figures) and all(figure.holds for figure in self.figures.values())

    def print(self, console: Console) -> None:
        """Show the figures as a table."""
        table = Table(title=self.name, title_justify="left", title_style="bold")
        for heading in ("figure", "value", "unit", "bar", "holds"):
            table.add_column(heading, justify="right" if heading == "value" else "left")
        for name, figure in self.figures.items():
            bar = "" if figure.bar is None else str(figure.bar)
            verdict = "" if figure.bar is None else "yes" if figure.holds else "[bold red]NO[/]"
            table.add_row(name, _number(figure.value), figure.unit, bar, verdict)
        console.print(table)

    def write(self, folder: Path) -> Path:
        """Write the figures to `<folder>/<name>.json`; the path written."""
        folder.mkdir(parents=True, exist_ok=True)
        figures = {
            name: {
                "value": figure.value,
                "unit": figure.unit,
                "bar": None if figure.bar is None else str(figure.bar),
                "holds": figure.holds,
            }
            for name, figure in self.figures.items()
        }
        path = folder / f"{self.name}.json"
        path.write_text(json.dumps({"figures": figures}, indent=2) + "\n")
        return path


def _number(value: float) -> str:
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4g}"
