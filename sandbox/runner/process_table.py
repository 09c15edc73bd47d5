"""Every process of the box, read from /proc: who descends from whom, and which call it belongs to."""

from __future__ import annotations

import os
from typing import NamedTuple

# In the environment of every process that a call started.
TAG = "BELLHOP_CALL"


class Seen(NamedTuple):
    """One line of the process table."""

    pid: int
    parent: int
    state: str


def process_table() -> list[Seen]:
    """Every process of the box that is not yet a zombie."""
    table = []
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", "rb") as file:
                fields = file.read().rpartition(b")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if fields[0] not in (b"Z", b"X"):
            table.append(Seen(int(name), int(fields[1]), fields[0].decode()))
    return table


def descendants(table: list[Seen], roots: set[int]) -> set[int]:
    """Every process below `roots`."""
    children: dict[int, list[int]] = {}
    for seen in table:
        children.setdefault(seen.parent, []).append(seen.pid)
    found: set[int] = set()
    waiting = list(roots)
    while waiting:
        for pid in children.get(waiting.pop(), []):
            if pid not in found:
                found.add(pid)
                waiting.append(pid)
    return found


def tagged(table: list[Seen], start: str) -> dict[int, str]:
    """Processes whose environment has a tag that begins with `start`, and the tag."""
    found = {}
    for seen in table:
        try:
            with open(f"/proc/{seen.pid}/environ", "rb") as file:
                environment = file.read()
        except OSError:
            continue
        for line in environment.split(b"\0"):
            name, _, value = line.partition(b"=")
            tag = value.decode("utf-8", "replace")
            if name == TAG.encode() and tag.startswith(start):
                found[seen.pid] = tag
    return found
