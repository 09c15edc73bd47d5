"""What is known of a box's first process by its number and its start."""

from __future__ import annotations

import subprocess

from sandbox.environments.local_processes import BoxRecord, started_ticks_of


def record(pid: int, started_ticks: int | None) -> BoxRecord:
    return BoxRecord("box", "s1", {}, "id", pid, started_ticks)


def test_a_box_runs_while_that_very_process_lives() -> None:
    with subprocess.Popen(["sleep", "600"]) as process:
        started = started_ticks_of(process.pid)
        assert started is not None
        assert record(process.pid, started).running()
        assert not record(process.pid, started - 1).running()
        process.kill()
    assert not record(process.pid, started).running()
    # It had ended before anybody could write down when it began.
    assert not record(process.pid, started_ticks_of(process.pid)).running()
