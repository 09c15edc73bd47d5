"""What a command wanted of the processor: what it had of it, and what it waited for while others had it."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from sandbox.runner.strain import BUSY_SHARE, Strain
from tests.faults.waiting import until

COMPUTES = ("sh", "-c", "while :; do :; done")


def share(pid: int) -> tuple[float, float]:
    """How many seconds that process had the processor, and how many it waited for it."""
    had, waited, _ = Path(f"/proc/{pid}/schedstat").read_text().split()
    return int(had) / 1e9, int(waited) / 1e9


def state(pid: int) -> str:
    """What that process does, in the kernel's one letter."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


class Processor:
    """The first one, for those who have to share it."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack

    def run(self, *words: str) -> int:
        """A process there, by its number."""
        # A session each: a kernel may share out by session.
        process = subprocess.Popen(["taskset", "-c", "0", *words], start_new_session=True)
        self._stack.callback(process.wait)
        self._stack.callback(process.kill)
        return process.pid


@pytest.fixture
def processor() -> Iterator[Processor]:
    with ExitStack() as stack:
        yield Processor(stack)


async def test_a_command_that_waits_for_the_processor_wants_it_as_much_as_one_that_has_it(
    processor: Processor,
) -> None:
    strain = Strain(None)
    processor.run(*COMPUTES)
    command = processor.run(*COMPUTES)

    def has_waited() -> bool:
        had, waited = share(command)
        return waited > max(0.1, had / 4)

    await until(has_waited, "the command waited for the processor", 60)
    # Its figures stand still with it.
    os.kill(command, signal.SIGSTOP)
    await until(lambda: state(command) == "T", "the command stands still", 60)
    had, waited = share(command)
    seconds = (had + waited * 0.9) / BUSY_SHARE
    assert had < seconds * BUSY_SHARE, "what it had would not be enough"
    strain.before_the_end({command})
    assert "processor" in strain.seen(True, seconds)
    assert "processor" not in strain.seen(True, (had + waited * 1.1) / BUSY_SHARE)
    assert "processor" not in strain.seen(False, seconds)


async def test_a_command_that_sleeps_wants_nothing_however_long_others_compute_meanwhile(
    processor: Processor,
) -> None:
    strain = Strain(None)
    others, command = processor.run(*COMPUTES), processor.run("sleep", "600")
    await until(lambda: b"taskset" not in Path(f"/proc/{command}/cmdline").read_bytes(), "it is what it is")
    await until(lambda: state(command) == "S", "it sleeps", 60)
    begun, start = sum(share(others)), sum(share(command))
    await until(lambda: sum(share(others)) - begun > max(0.1, 10 * start), "others compute", 60)
    seconds = sum(share(others)) - begun
    strain.before_the_end({command})
    assert "processor" not in strain.seen(True, seconds)
