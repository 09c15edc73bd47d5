"""Looking for secrets where a process could find them: memory, environment, open files, readable files."""

from __future__ import annotations

import base64
import os
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO

from tests.deploy.accounts import Account

_CHUNK_BYTES = 8 * 1024 * 1024
_SEARCH = ("grep", "--text", "--no-filename", "--only-matching", "--fixed-strings", "--null-data", "--file")


def held(pid: int, secrets: Mapping[str, str]) -> set[str]:
    """The names of the secrets that lie in the memory, environment or open files of a process, or of those
    that it started: as they are, in hex or in base64."""
    names = _names(secrets)
    with tempfile.NamedTemporaryFile() as patterns, tempfile.TemporaryFile() as found:
        patterns.write(b"\n".join(names))
        patterns.flush()
        search = subprocess.Popen(
            [*_SEARCH, patterns.name], stdin=subprocess.PIPE, stdout=found, env={"LC_ALL": "C"}
        )
        assert search.stdin is not None
        for each in family(pid):
            for piece in (*_memory(each), *_files(each)):
                search.stdin.write(piece)
        search.stdin.close()
        assert search.wait() < 2
        found.seek(0)
        return _found(names, found.read())


def readable(account: Account, directories: Iterable[Path], secrets: Mapping[str, str]) -> set[str]:
    """The names of the secrets in files below the directories that the account can read."""
    names = _names(secrets)
    search = account.command(*_SEARCH, "-", "--recursive", "--no-messages", *map(str, directories))
    ended = subprocess.run(search, input=b"\n".join(names), capture_output=True, check=False)
    return _found(names, ended.stdout)


def family(pid: int) -> list[int]:
    """The process, and all that it started, by number."""
    found = [pid]
    for each in found:
        with suppress(FileNotFoundError, ProcessLookupError):
            for thread in Path(f"/proc/{each}/task").iterdir():
                found += map(int, (thread / "children").read_text().split())
    return found


def forms(secret: str) -> set[bytes]:
    """A secret as it may be written down; of base64 what does not depend on what stands beside it."""
    raw = secret.encode()
    found = {raw, raw.hex().encode()}
    for offset, first in enumerate((0, 2, 3)):
        written = base64.b64encode(bytes(offset) + raw)
        inner = written[first : (offset + len(raw)) // 3 * 4]
        found |= {inner, inner.translate(bytes.maketrans(b"+/", b"-_"))}
    return found


def _names(secrets: Mapping[str, str]) -> dict[bytes, str]:
    return {form: name for name, secret in secrets.items() for form in forms(secret)}


def _found(names: Mapping[bytes, str], matches: bytes) -> set[str]:
    return {names[match] for match in matches.split(b"\0") if match}


def _memory(pid: int) -> Iterator[bytes]:
    """What the process can read, but for files that it only has mapped as they are on the disk."""
    with suppress(FileNotFoundError, ProcessLookupError), Path(f"/proc/{pid}/mem").open("rb", 0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            place, rights, _, _, inode, *_ = line.split()
            if rights.startswith("r") and (inode == "0" or "w" in rights):
                first, _, end = place.partition("-")
                yield from _region(memory, int(first, 16), int(end, 16))


def _region(memory: IO[bytes], first: int, end: int) -> Iterator[bytes]:
    while first < end:
        try:
            memory.seek(first)
            piece = memory.read(min(_CHUNK_BYTES, end - first))
        except OSError:
            break  # the kernel's own, such as vvar
        if not piece:
            break
        yield piece
        first += len(piece)
    yield b"\0"  # no match reaches from one region into the next


def _files(pid: int) -> Iterator[bytes]:
    with suppress(FileNotFoundError, ProcessLookupError):
        yield Path(f"/proc/{pid}/environ").read_bytes() + b"\0"
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                if descriptor.is_file() and not os.readlink(descriptor).startswith("/dev/"):
                    yield descriptor.read_bytes() + b"\0"
