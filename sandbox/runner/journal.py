"""What was done under which call id, on disk, so that a repeated call is answered and not run again."""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
from typing import NamedTuple

from .arguments import Args, Result
from .refusal import Refused
from .starter import libc

# Kept free for lines, so that a disk that is full can be cleared: no command runs that is not written down.
RESERVED_BYTES = 256 * 1024
# Source: fallocate(2): the file does not become longer.
KEEP_SIZE = 1
# Calls of a segment; the one before it is kept too.
SEGMENT_CALLS = 5000
BEGUN, ENDED, FORGOTTEN = b"begun", b"ended", b"forgotten"


class Entry(NamedTuple):
    """One call as written down. `result` is None while it runs, and for ever when the runner died with it."""

    result: Result | None


class Line(NamedTuple):
    """The last that a segment says of a call. `start` and `length` are where its result is, None without."""

    segment: int
    operation: str
    digest: str
    start: int | None
    length: int


class Journal:
    """The journal in `directory`: segments of lines, one when a call begins and one when it has ended.

    A line is a word, the call, the operation, a digest of its arguments, and the result at the end. Lines are
    only added, which takes a fraction of the time that a file for each call does.
    """

    def __init__(self, directory: str) -> None:
        os.makedirs(directory, exist_ok=True)
        self._directory = directory
        self._calls: dict[str, Line] = {}
        segments = self._segments() or [1]
        for segment in segments[-2:-1]:
            self._read(segment)
        self._open(segments[-1])

    def find(self, call_id: str, operation: str, args: Args) -> Entry | None:
        """The entry of that id, None when it is new. Raises: Refused when the id was of another call."""
        line = self._calls.get(key_of(call_id))
        if line is None:
            return None
        if (line.operation, line.digest) != (operation, digest_of(operation, args)):
            raise Refused(f"call id {call_id} was used before, for another call")
        if line.start is None:
            return Entry(None)
        with open(self._path(line.segment), "rb") as file:
            file.seek(line.start)
            return Entry(json.loads(file.read(line.length)))

    def begin(self, call_id: str, operation: str, args: Args) -> None:
        """Written before anything is done."""
        if self._begun >= SEGMENT_CALLS:
            os.close(self._file)
            self._open(self._segment + 1)
        self._begun += 1
        self._add(BEGUN, key_of(call_id), operation, digest_of(operation, args), None)

    def finish(self, call_id: str, operation: str, args: Args, result: Result) -> None:
        """Written when it is done: from now on the same id gets `result`."""
        self._add(ENDED, key_of(call_id), operation, digest_of(operation, args), result)

    def forget(self, call_id: str) -> None:
        """The call was refused before it changed anything: the id is free again."""
        line = self._calls.pop(key_of(call_id), None)
        if line is not None:
            try:
                self._add(FORGOTTEN, key_of(call_id), line.operation, line.digest, None)
            except OSError:
                # The disk is full, and the refusal is the news: the id is free as long as this runner lives.
                pass

    def _add(self, word: bytes, key: str, operation: str, digest: str, result: Result | None) -> None:
        content = b"" if result is None else json.dumps(result).encode("ascii")
        head = b" ".join((word, key.encode(), operation.encode(), digest.encode())) + b" "
        data = head + content + b"\n"
        if os.write(self._file, data) < len(data):
            # The disk is full: what is not written in full must not look like the beginning of the next line.
            os.ftruncate(self._file, self._size)
            raise OSError("the journal cannot be written: the disk is full")
        self._note(word, key, operation, digest, self._size + len(head), len(content))
        self._size += len(data)

    def _note(self, word: bytes, key: str, operation: str, digest: str, start: int, length: int) -> None:
        self._calls.pop(key, None)
        if word != FORGOTTEN:
            self._calls[key] = Line(
                self._segment, operation, digest, start if word == ENDED else None, length
            )

    def _open(self, segment: int) -> None:
        """Lines go to this segment from now on, and what is older than the one before it is gone."""
        self._file = os.open(
            self._path(segment), os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644
        )
        self._segment, (self._begun, self._size) = segment, self._read(segment)
        # The next line must not go on where a death has cut the last one short.
        os.ftruncate(self._file, self._size)
        # A file system that cannot reserve has none to spare later, and says so itself.
        libc.fallocate(self._file, KEEP_SIZE, ctypes.c_long(self._size), ctypes.c_long(RESERVED_BYTES))
        for old in self._segments()[:-2]:
            os.unlink(self._path(old))
            self._calls = {key: line for key, line in self._calls.items() if line.segment != old}

    def _read(self, segment: int) -> tuple[int, int]:
        """Notes what is in a segment; how many calls begin there, and how long its whole lines are."""
        self._segment, begun, size = segment, 0, 0
        with open(self._path(segment), "rb") as file:
            for line in file:
                parts = line.split(b" ", 4)
                if not line.endswith(b"\n") or len(parts) != 5:
                    break
                word, key, operation, digest, result = parts
                begun += word == BEGUN
                start = size + len(line) - len(result)
                self._note(word, key.decode(), operation.decode(), digest.decode(), start, len(result) - 1)
                size += len(line)
        return begun, size

    def _path(self, segment: int) -> str:
        return os.path.join(self._directory, f"{segment}.log")

    def _segments(self) -> list[int]:
        names = [name[: -len(".log")] for name in os.listdir(self._directory) if name.endswith(".log")]
        return sorted(int(name) for name in names if name.isdigit())


def key_of(call_id: str) -> str:
    """The call id as it is written: without blanks, and never long."""
    return hashlib.blake2b(call_id.encode("utf-8", "surrogateescape"), digest_size=20).hexdigest()


def digest_of(operation: str, args: Args) -> str:
    """Equal for equal calls; `stream` says who listens and not what is done."""
    said = {key: value for key, value in args.items() if key != "stream"}
    return hashlib.blake2b(
        (operation + json.dumps(said, sort_keys=True)).encode(), digest_size=20
    ).hexdigest()
