"""How much of the machine the box uses."""

from __future__ import annotations

import asyncio
import os
import stat

from .process_table import descendants, process_table

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
ENTRIES_PER_SLICE = 500
# What a name counts for at least: a disk has only so many, and an empty file takes one and no block.
ENTRY_BYTES = 4096
# Source: the kernel's cgroup documentation; the first of each pair is version 2, the other version 1.
OOM_FILES = ("/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control")
FORK_FILES = ("/sys/fs/cgroup/pids.events", "/sys/fs/cgroup/pids/pids.events")
MEMORY_FILES = ("/sys/fs/cgroup/memory.current", "/sys/fs/cgroup/memory/memory.usage_in_bytes")


def oom_kills() -> int | None:
    """How often the kernel ended a process of this box for want of memory; None when it does not tell."""
    return _counted(OOM_FILES, "oom_kill")


def refused_forks() -> int | None:
    """How often the kernel made no process for this box, which had all it may have; None when it does not
    tell."""
    return _counted(FORK_FILES, "max")


def cgroup_memory_bytes() -> int | None:
    """Memory of the whole box with its page cache; None when the kernel does not tell."""
    for path in MEMORY_FILES:
        content = _read(path)
        if content is not None and content.strip().isdigit():
            return int(content)
    return None


def resident_bytes() -> int:
    """Memory of all processes summed, shared pages counted in each."""
    total = 0
    for seen in process_table():
        content = _read(f"/proc/{seen.pid}/statm")
        if content:
            total += int(content.split()[1]) * PAGE_BYTES
    return total


async def disk_bytes(directory: str, most: int | None = None) -> int:
    """What everything below `directory` takes of the disk, counted in slices so that calls go on.

    It stops counting beyond `most`: who makes files faster than they are counted must not go on meanwhile.
    """
    total, seen, waiting = 0, 0, [directory]
    while waiting and (most is None or total <= most):
        try:
            entries = list(os.scandir(waiting.pop()))
        except OSError:
            continue
        for entry in entries:
            try:
                total += max(entry.stat(follow_symlinks=False).st_blocks * 512, ENTRY_BYTES)
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
            except OSError:
                continue
            seen += 1
            if seen % ENTRIES_PER_SLICE == 0:
                await asyncio.sleep(0)
                if most is not None and total > most:
                    break
    return total


def hidden_disk_bytes() -> int:
    """Disk blocks of files that have no name any more and that a process below the runner holds open."""
    found = {}
    for pid in descendants(process_table(), {os.getpid()}):
        try:
            for entry in os.scandir(f"/proc/{pid}/fd"):
                about = os.stat(entry.path)
                if about.st_nlink == 0 and stat.S_ISREG(about.st_mode) and not _is_memory(entry.path):
                    found[about.st_dev, about.st_ino] = about.st_blocks * 512
        except OSError:
            continue
    return sum(found.values())


def _is_memory(path: str) -> bool:
    return os.readlink(path).startswith(("/memfd:", "/dev/shm/", "/tmp/", "/dev/zero", "/SYSV"))


def _counted(paths: tuple[str, ...], wanted: str) -> int | None:
    for path in paths:
        for line in (_read(path) or "").splitlines():
            name, _, value = line.partition(" ")
            if name == wanted and value.isdigit():
                return int(value)
    return None


def _read(path: str) -> str | None:
    try:
        with open(path, encoding="ascii") as file:
            return file.read()
    except OSError:
        return None
