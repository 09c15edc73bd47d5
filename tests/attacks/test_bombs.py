"""Code in a box uses up what the box shares with the host and with other boxes.

Asset: the host's processes, memory, disk and open files, and the broker's. Attacker: code that the agent was
made to run. Path: fork bomb, zombies, memory, files, unlinked files, output without end, connections to the
door. Control: a limit of processes, memory and open files for each box, kept by the kernel; a watch on its
disk, and on a local box's memory; bounded output; bounded connections at relay and door. Afterwards the box
works, and its neighbour never noticed.

What remains: the watch looks every quarter of a second, and knows no file that only a socket's queue or a
mapping holds; in a local box it counts resident pages only.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from sandbox.environments.protocol import Sandbox
from tests.attacks.frame import Control, refuted
from tests.attacks.outside import program
from tests.sandbox.door.stage import HOST, SESSION, stage
from tests.sandbox.environments.boxes import LIMITS, MIB, Bench, call_id, run
from tests.session.room import eventually

CONTROLS = (
    Control(
        "sandbox/runner/__main__.py",
        (("resource.setrlimit(resource.RLIMIT_NPROC, (options.pids, options.pids))", "pass"),),
    ),
)
PROOF = "test_processes and local"

DISK = ("/workspace/full", "/bellhop/home/full", "/bellhop/state/full", "/run/bellhop/full", "/var/tmp/full")


@asynccontextmanager
async def armed(bench: Bench) -> AsyncIterator[tuple[Sandbox, Sandbox]]:
    """A box with the attacker's program, and its neighbour."""
    async with bench.box() as box, bench.box() as neighbour:
        await box.runner.write_file(call_id(), "bombs.py", program("bombs"))
        yield box, neighbour


async def both_work(box: Sandbox, neighbour: Sandbox, after: str) -> None:
    """Both boxes start new programs; `after` what is the act."""
    for name, each in (("the box", box), ("its neighbour", neighbour)):
        done = await run(each, "echo $((6 * 7)) | cat")
        refuted(done.output == "42\n", f"{name} was of no use after {after}: {done.output} {done.cause}")


async def ended(box: Sandbox, act: str) -> None:
    """The process that left its call is gone, or the attack had what it wanted."""

    async def is_gone() -> bool:
        return (await run(box, "kill -0 $(cat nameless)")).exit_code == 1

    try:
        await eventually(is_gone)
    except TimeoutError:
        refuted(False, f"what a finished call left behind kept {act}")


async def test_processes_are_bounded_and_give_way_to_the_next_call(bench: Bench) -> None:
    async with armed(bench) as (box, neighbour):
        for act in ("forks", "zombies"):
            done = await run(box, f"python3 bombs.py {act}")
            count = int(done.output.split()[-1])
            refuted(count <= LIMITS.pids, f"{count} processes where {LIMITS.pids} are allowed")
            # A local box's memory is watched by what each process can see of it, which may come first.
            assert act != "forks" or "processes" in done.strained or done.cause == "out of memory", done
            await both_work(box, neighbour, act)
        for act in ("forks", "zombies"):
            await run(box, f"python3 bombs.py nameless {act}")
            await both_work(box, neighbour, f"nameless {act}")


async def test_memory_is_bounded(bench: Bench) -> None:
    async with armed(bench) as (box, neighbour):
        done = await run(box, "exec python3 bombs.py memory", 60)
        refuted("kept" not in done.output, done.output)
        assert done.cause == "out of memory"
        done = await run(box, "python3 bombs.py memory_as_files", 60)
        assert done.exit_code == 0, done.output
        count = int(done.output.split()[0])
        refuted(count * MIB < LIMITS.memory_bytes, f"{count} MiB of memory as files")
        await run(box, "python3 bombs.py nameless memory")
        await ended(box, "its memory")
        await both_work(box, neighbour, "memory")


async def test_disk_is_bounded_wherever_the_box_may_write(bench: Bench) -> None:
    async with armed(bench) as (box, neighbour):
        for path in DISK:
            done = await run(box, f"exec python3 bombs.py disk {path}", 60)
            refuted("kept" not in done.output, f"{path}: {done.output}")
            assert "refused" in done.output or (done.cause or "").startswith("disk full"), (path, done)
            await run(box, f"rm -f {path}")
        done = await run(box, "exec python3 bombs.py hidden_disk", 60)
        refuted("kept" not in done.output, f"a file without a name: {done.output}")
        done = await run(box, "exec python3 bombs.py inodes many", 60)
        refuted("kept" not in done.output, f"files without content: {done.output}")
        assert (done.cause or "").startswith("disk full"), done
        await run(box, "rm -rf many")
        await run(box, "python3 bombs.py nameless disk /workspace/full")
        await ended(box, "writing")
        await run(box, "rm -f full")
        await both_work(box, neighbour, "disk")


async def test_open_files_and_output_are_bounded(bench: Bench) -> None:
    async with armed(bench) as (box, neighbour):
        done = await run(box, "python3 bombs.py open_files")
        count = int(done.output.split()[0])
        refuted(count <= LIMITS.open_files, f"{count} open files")
        done = await run(box, "yes 'a line that goes on and on'", 2)
        assert done.exit_code is None, done
        refuted(len(done.output) < MIB, f"{len(done.output)} bytes of output")
        kept = await run(box, f"stat -c %s {done.spilled_path}")
        refuted(int(kept.output) <= 64 * MIB, f"{kept.output} bytes of output kept")
        await both_work(box, neighbour, "output without end")


async def test_connections_to_the_door_leave_room_for_others(bench: Bench) -> None:
    async with stage() as s:
        s.home.chmod(0o711)
        doors = [await s.doors.open(SESSION, f"box-{number}", {}) for number in range(2)]
        first, second = (bench.spec(door=door) for door in doors)
        async with bench.box(first) as box, bench.box(second) as neighbour:
            await box.runner.write_file(call_id(), "bombs.py", program("bombs"))
            before = open_descriptors()
            await box.runner.background_start(call_id(), "python3 bombs.py sockets")
            await run(box, "until [ -s connected ]; do sleep 0.05; done")
            asked = await run(neighbour, f"curl -sS -o /dev/null -w '%{{http_code}}' {s.url('/', HOST)}")
            refuted(asked.output == "200", f"its neighbour did not come through the door: {asked.output}")
            held = open_descriptors() - before
            refuted(held <= 150, f"one box held {held} descriptors of the broker")
            await both_work(box, neighbour, "connections")


def open_descriptors() -> int:
    """Those of this process, which is the doors' too."""
    return len(os.listdir(Path("/proc/self/fd")))
