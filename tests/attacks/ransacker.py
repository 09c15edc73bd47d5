"""Code of an attacker, run inside a box: it gathers everything that can be read there into one file.

The first argument is the file. Nothing here is imported by tests.
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

MOST_BYTES = 2_000_000
OF_THE_MACHINE = {"usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "nix", "proc", "sys", "dev"}
SETTINGS_OF_ITS = ("/etc/ssl", "/etc/ca-certificates", "/etc/alternatives")
OF_A_PROCESS = ("environ", "cmdline", "maps", "mountinfo", "limits", "status", "cgroup")


def files() -> Iterator[Path]:
    """All that belongs to the box and not to its machine."""
    for top in Path("/").iterdir():
        if top.name not in OF_THE_MACHINE:
            for directory, _, names in os.walk(top):
                if not directory.startswith(SETTINGS_OF_ITS):
                    yield from (Path(directory, name) for name in names)


def of_processes() -> Iterator[Path]:
    """What the system tells of every process, its memory but for what it only maps included."""
    for process in Path("/proc").glob("[0-9]*"):
        yield from (process / name for name in OF_A_PROCESS)
        yield from (process / "fd").glob("*") if os.access(process / "fd", os.R_OK) else ()


def read(path: Path) -> bytes:
    """What it holds, as far as it can be read."""
    try:
        if path.is_symlink():
            return os.readlink(path).encode()
        if path.is_file():
            with path.open("rb") as file:
                return file.read(MOST_BYTES)
    except OSError as error:
        return str(error).encode()
    return b""


def memory(process: Path) -> bytes:
    """What a process holds in writable memory of its own."""
    found = bytearray()
    try:
        with (process / "mem").open("rb", 0) as file:
            for line in (process / "maps").read_text().splitlines():
                span, rights, *_ = line.split()
                if rights.startswith("rw") and "/" not in line:
                    start, end = (int(each, 16) for each in span.split("-"))
                    file.seek(start)
                    found += file.read(min(end - start, MOST_BYTES))
    except OSError as error:
        found += str(error).encode()
    return bytes(found)


def gather(target: Path) -> None:
    """Write it all down."""
    with target.open("wb") as out:
        for path in [*files(), *of_processes()]:
            if path != target:
                out.write(b"\n== " + os.fsencode(path) + b"\n" + read(path))
        for process in Path("/proc").glob("[0-9]*"):
            out.write(b"\n== memory of " + process.name.encode() + b"\n" + memory(process))


if __name__ == "__main__":
    gather(Path(sys.argv[1]))
