"""`python -m tests.benchmarks [name]`: run one benchmark or all, and exit with 1 if a bar does not hold.

A benchmark is a module `tests/benchmarks/<name>.py` with `async def run(report: Report) -> None`.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import sys
from pathlib import Path

from rich.console import Console

from tests.benchmarks.report import Report
from tests.provision.places import CHECKOUT

OUTPUT = CHECKOUT / "build" / "bench"
_NOT_BENCHMARKS = {"__init__", "__main__", "report"}


def benchmark_names(folder: Path = Path(__file__).parent) -> list[str]:
    """The names of the benchmarks in the folder, in alphabetical order; a leading underscore is none."""
    names = {path.stem for path in folder.glob("*.py")} - _NOT_BENCHMARKS
    return sorted(name for name in names if not name.startswith("_"))


async def run_benchmark(name: str, console: Console, output: Path, package: str = "tests.benchmarks") -> bool:
    """Run one benchmark, print its table and write its file; whether every bar holds."""
    report = Report(name)
    await importlib.import_module(f"{package}.{name}").run(report)
    report.print(console)
    report.write(output)
    return report.holds


def main() -> int:
    """Exit code: 0 if every bar of what was run holds, else 1."""
    known = benchmark_names()
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("name", nargs="*", choices=[*known, []], help="default: all")
    chosen = parser.parse_args().name or known
    console = Console()
    # One event loop each, so that none inherits the other's leftovers.
    failed = [name for name in chosen if not asyncio.run(run_benchmark(name, console, OUTPUT))]
    for name in failed:
        console.print(f"A bar of [bold]{name}[/] does not hold.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
