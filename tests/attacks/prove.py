"""`python -m tests.attacks.prove [names]`: every attack is refuted, and succeeds once its controls are gone.

A refuted attack proves nothing by itself: it may never have been one. So the rooms and the tests are copied,
the test that PROOF names runs there as the code is, then once more without what CONTROLS take away, and must
then fail because the attack succeeded. Any other end is an error.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from xml.etree import ElementTree

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tests.attacks.conftest import SUCCESS
from tests.attacks.frame import AttackFile, ProofOutOfDate, attack_file, attack_names
from tests.house import ROOMS
from tests.provision import docker_engine, processes
from tests.provision.places import CHECKOUT

AT_ONCE = 2
RUN_SECONDS = 240.0
LEAVE_SECONDS = 20.0
# Servers of the copy are the copy's; everything else that is kept between runs is shared with it.
OWN = ("postgres", "valkey")

End = Literal["refuted", "succeeded", "skipped", "broken"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the proof's tests ended together, and what they said."""

    end: End
    said: str


@dataclass(frozen=True, slots=True)
class Proof:
    """An attack run with its controls and without them; `without` is None where it was not come to."""

    attack: AttackFile
    present: Outcome
    without: Outcome | None

    @property
    def skipped(self) -> bool:
        """Whether this machine lacks what the attack needs."""
        return self.present.end == "skipped"

    @property
    def holds(self) -> bool:
        """Whether the controls are what refutes the attack."""
        return self.present.end == "refuted" and self.without is not None and self.without.end == "succeeded"


async def proven(attack: AttackFile) -> Proof:
    """The proof of one attack file."""
    with _copy() as root:
        present = await _run(attack, root)
        if present.end != "refuted":
            return Proof(attack, present, None)
        try:
            for control in attack.controls:
                control.taken_away(root)
        except ProofOutOfDate as error:
            return Proof(attack, present, Outcome("broken", str(error)))
        return Proof(attack, present, await _run(attack, root))


async def _run(attack: AttackFile, root: Path) -> Outcome:
    report = root / "report.xml"
    report.unlink(missing_ok=True)
    options = ["-q", "--no-header", "-p", "no:cacheprovider", "-k", attack.proof, f"--junit-xml={report}"]
    process = await asyncio.create_subprocess_exec(
        *(str(root / ".venv/bin/python"), "-m", "pytest", *options, attack.path),
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    reading = asyncio.create_task(process.communicate())
    try:
        said, _ = await asyncio.wait_for(asyncio.shield(reading), RUN_SECONDS)
    except TimeoutError:
        return Outcome("broken", f"no end within {RUN_SECONDS:.0f} seconds")
    finally:
        await _ended(process, reading)
    return outcome_of(report, said.decode(errors="replace"))


async def _ended(process: asyncio.subprocess.Process, reading: asyncio.Task[tuple[bytes, bytes]]) -> None:
    """Asked to leave first: pytest then takes down what it has put up."""
    for how in (signal.SIGINT, signal.SIGKILL):
        if process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, how)
            await asyncio.wait([reading], timeout=LEAVE_SECONDS)


def outcome_of(report: Path, said: str) -> Outcome:
    """What the tests' report comes to: the attack succeeded only where it did so in each of them."""
    cases = ElementTree.parse(report).findall(".//testcase") if report.exists() else []
    if not cases:
        return Outcome("broken", said)
    ends = [_end_of(case) for case in cases]
    if len(set(ends)) > 1 or ends[0] == "broken":
        return Outcome("broken", said)
    found = cases[0].find(f"properties/property[@name='{SUCCESS}']")
    skipped = cases[0].find("skipped")
    if found is not None:
        return Outcome(ends[0], found.get("value", ""))
    return Outcome(ends[0], "" if skipped is None else skipped.get("message", ""))


def _end_of(case: ElementTree.Element) -> End:
    if case.find(f"properties/property[@name='{SUCCESS}']") is not None:
        return "succeeded"
    if case.find("failure") is not None or case.find("error") is not None:
        return "broken"
    return "refuted" if case.find("skipped") is None else "skipped"


@contextmanager
def _copy() -> Iterator[Path]:
    """The checkout's rooms and tests in a directory of their own, gone afterwards with its servers."""
    root = Path(tempfile.mkdtemp(prefix="bh-prove-", dir="/tmp"))
    # PostgreSQL runs as another user, who has to get in.
    root.chmod(0o755)
    try:
        for room in (*ROOMS, "tests"):
            shutil.copytree(CHECKOUT / room, root / room, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy2(CHECKOUT / "pyproject.toml", root)
        (root / ".venv").symlink_to(CHECKOUT / ".venv")
        provision = root / ".cache" / "provision"
        provision.mkdir(parents=True)
        for kept in (CHECKOUT / ".cache" / "provision").glob("*"):
            if kept.name not in OWN:
                (provision / kept.name).symlink_to(kept)
        yield root
        for server in OWN:
            processes.remove_abandoned(provision / server)
    finally:
        shutil.rmtree(root, ignore_errors=True)


async def prove(names: list[str], console: Console) -> bool:
    """Prove the attacks of these names and print the table; whether every one of them is proven."""
    slots = asyncio.Semaphore(AT_ONCE)

    async def one(name: str) -> Proof:
        async with slots:
            return await proven(attack_file(name))

    proofs = await asyncio.gather(*(one(name) for name in names))
    for proof in proofs:
        last = proof.without or proof.present
        if not (proof.holds or proof.skipped):
            console.rule(f"{proof.attack.name}: not proven ({last.end})")
            console.print(last.said[-4000:], markup=False, highlight=False)
    console.print(_table(proofs))
    return all(proof.holds or proof.skipped for proof in proofs)


def _table(proofs: list[Proof]) -> Table:
    table = Table("attack", "control", "refuted with", "succeeded without")
    for proof in proofs:
        controls = "\n".join(dict.fromkeys(control.path for control in proof.attack.controls))
        without: str = "—" if proof.without is None else proof.without.end
        if proof.holds and proof.without is not None:
            without = f"yes: {escape(' '.join(proof.without.said.split()))}"
        present = {"refuted": "yes", "skipped": f"skipped: {proof.present.said}"}
        table.add_row(
            proof.attack.title, controls, present.get(proof.present.end, proof.present.end), without
        )
    return table


@contextmanager
def _engine() -> Iterator[None]:
    """One Docker engine for all copies, which would else each start one over the same images."""
    if docker_engine.answering_host() is None and docker_engine.can_be_started():
        with docker_engine.engine() as host:
            os.environ["DOCKER_HOST"] = host
            yield
    else:
        yield


def main() -> int:
    """Exit code: 0 if every attack asked for is proven, or skipped for want of a real part, else 1."""
    known = attack_names()
    parser = argparse.ArgumentParser(prog="python -m tests.attacks.prove", description=__doc__)
    parser.add_argument("name", nargs="*", choices=[*known, []], help="default: all")
    chosen = parser.parse_args().name or known
    with _engine():
        return 0 if asyncio.run(prove(chosen, Console())) else 1


if __name__ == "__main__":
    sys.exit(main())
