"""How much of the machine the box uses."""

from __future__ import annotations

import asyncio
import os

from .processes import process_table

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
ENTRIES_PER_SLICE = 500
# Source: the kernel's cgroup documentation; the first of each pair is version 2, the other version 1.
OOM_FILES = ("/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control")
MEMORY_FILES = ("/sys/fs/cgroup/memory.current", "/sys/fs/cgroup/memory/memory.usage_in_bytes")


def oom_kills() -> int | None:
    """How often the kernel ended a process of this box for want of memory; None when it does not tell."""
    for path in OOM_FILES:
        content = _read(path)
        for line in (content or "").splitlines():
            name, _, value = line.partition(" ")
            if name == "oom_kill" and value.isdigit():
                return int(value)
    return None


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


async def disk_bytes(directory: str) -> int:
    """Disk blocks that everything below `directory` takes, counted in slices so that calls go on."""
    total, seen, waiting = 0, 0, [directory]
    while waiting:
        try:
            entries = list(os.scandir(waiting.pop()))
        except OSError:
            continue
        for entry in entries:
            try:
                total += entry.stat(follow_symlinks=False).st_blocks * 512
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
            except OSError:
                continue
            seen += 1
            if seen % ENTRIES_PER_SLICE == 0:
                await asyncio.sleep(0)
    return total


def _read(path: str) -> str | None:
    try:
        with open(path, encoding="ascii") as file:
            return file.read()
    except OSError:
        return None
