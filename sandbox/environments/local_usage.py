"""What the boxes of one directory use of this machine. All of it blocks."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from sandbox.environments.images import KeptImage
from sandbox.environments.local_files import disk_bytes
from sandbox.environments.local_processes import BoxRecord
from sandbox.environments.protocol import PURPOSE_LABEL
from sandbox.environments.usage import HostUse, Stored, Use
from sandbox.runner.process_table import descendants, process_table

TICKS = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def local_use(boxes: Path, records: Iterable[BoxRecord], images: Sequence[KeptImage]) -> HostUse:
    """Everything below `boxes`, and the images; there are no services, and nothing uses snapshots."""
    return HostUse(
        running=[_use(boxes / record.name, record) for record in records],
        snapshots=Stored(0, 0),
        images=Stored(len(images), sum(image.size_bytes for image in images)),
    )


def _use(folder: Path, record: BoxRecord) -> Use:
    running = record.running()
    memory, seconds = _of_processes(record.pid) if running and record.pid is not None else (None, 0.0)
    return Use(
        box=record.name,
        session_id=record.session_id,
        running=running,
        memory_bytes=memory,
        cpu_seconds=seconds,
        disk_bytes=disk_bytes(folder),
        purpose=record.labels.get(PURPOSE_LABEL, ""),
    )


def _of_processes(first: int) -> tuple[int, float]:
    """Resident memory of a process and all below it, and the seconds of a processor they have used.

    Source: proc(5): fields 14 to 17 of stat (with those of children that were waited for), 24 is the pages.
    """
    pages = ticks = 0
    for pid in {first} | descendants(process_table(), {first}):
        try:
            fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        except OSError:
            continue
        ticks += sum(int(value) for value in fields[11:15])
        pages += int(fields[21])
    return pages * PAGE_BYTES, ticks / TICKS
