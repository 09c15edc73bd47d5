"""What a command writes: kept inline up to a limit, whole in a file beyond it, and shown as it comes."""

from __future__ import annotations

import asyncio
import codecs
import os
from typing import BinaryIO, Callable

INLINE_BYTES = 50 * 1024
INLINE_LINES = 2000
# A command that writes for ever must not fill the disk.
SPILL_BYTES = 64 * 1024 * 1024
SPILL_FILES = 200
SHOWN_AT_ONCE_BYTES = 32 * 1024
# What is not kept is read at 30 MB/s: a flood must not take the processor from the box and its neighbours.
FLOOD_BYTES = SPILL_BYTES
FLOOD_PAUSE_SECONDS = 0.002


class CapturedOutput:
    """Collects bytes; `text` is all of them, or head and tail with the file that has the rest."""

    def __init__(self, spill_path: str) -> None:
        self.total_bytes = 0
        self.spilled_path: str | None = None
        self._spill_path = spill_path
        self._spill: BinaryIO | None = None
        self._spilled = 0
        self._whole = bytearray()
        self._lines = 0
        self._tail = bytearray()

    def add(self, data: bytes) -> None:
        self.total_bytes += len(data)
        self._lines += data.count(b"\n")
        if self._spill is None:
            self._whole += data
            if self.total_bytes > INLINE_BYTES or self._lines > INLINE_LINES:
                self._start_spilling()
            return
        self._spill_some(data)
        self._tail += data
        if len(self._tail) > 2 * INLINE_BYTES:
            del self._tail[:-INLINE_BYTES]

    def close(self) -> None:
        if self._spill is not None:
            self._spill.close()

    def text(self) -> str:
        """What fits inline, with a line that says what was left out and where it is."""
        if self._spill is None:
            return bytes(self._whole).decode("utf-8", "replace")
        head = _first_lines(bytes(self._whole[: INLINE_BYTES // 2]), INLINE_LINES // 2)
        tail = _last_lines(bytes(self._tail[-(INLINE_BYTES // 2) :]), INLINE_LINES // 2)
        left_out = self.total_bytes - len(head) - len(tail)
        note = f"\n[… {left_out} bytes left out; "
        if self.spilled_path is None:
            note += "they could not be kept: the disk is full"
        else:
            note += f"all {self.total_bytes} bytes are in {self.spilled_path}"
        if self.spilled_path is not None and self.total_bytes > SPILL_BYTES:
            note += f", up to the first {SPILL_BYTES}"
        return head.decode("utf-8", "replace") + note + " …]\n" + tail.decode("utf-8", "replace")

    def _start_spilling(self) -> None:
        try:
            _keep_newest(os.path.dirname(self._spill_path), SPILL_FILES - 1)
            self._spill = open(self._spill_path, "wb")  # noqa: SIM115 - closed by close()
            self.spilled_path = self._spill_path
        except OSError:
            # No file can be made any more: head and tail are still worth telling.
            self._spill = open(os.devnull, "wb")  # noqa: SIM115 - closed by close()
        self._spill_some(bytes(self._whole))
        self._tail = bytearray(self._whole)

    def _spill_some(self, data: bytes) -> None:
        assert self._spill is not None
        part = data[: max(0, SPILL_BYTES - self._spilled)]
        self._spilled += len(part)
        try:
            self._spill.write(part)
            self._spill.flush()
        except OSError:
            # The disk is full: the command's end is still worth telling.
            self._spilled = SPILL_BYTES


class ShownOutput:
    """Text for those who watch: gathered between two `take`s, its middle dropped when it comes too fast."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._waiting = bytearray()
        self._dropped = 0

    def add(self, data: bytes) -> None:
        self._waiting += data
        excess = len(self._waiting) - SHOWN_AT_ONCE_BYTES
        if excess > 0:
            half = SHOWN_AT_ONCE_BYTES // 2
            del self._waiting[half : half + excess]
            self._dropped += excess

    def take(self) -> str:
        data, dropped = bytes(self._waiting), self._dropped
        self._waiting.clear()
        self._dropped = 0
        if not dropped:
            return self._decoder.decode(data)
        half = SHOWN_AT_ONCE_BYTES // 2
        return (
            f"{self._decoder.decode(data[:half])}\n[… {dropped} bytes not shown …]\n"
            + self._decoder.decode(data[half:])
        )


class PipeReader:
    """Reads a pipe as long as anyone holds its other end; `sink` None throws the bytes away.

    A command may end while a server it started goes on writing: closing the pipe would kill that server.
    """

    def __init__(
        self, descriptor: int, sink: Callable[[bytes], None], loop: asyncio.AbstractEventLoop
    ) -> None:
        os.set_blocking(descriptor, False)
        self._descriptor: int | None = descriptor
        self._sink: Callable[[bytes], None] | None = sink
        self._loop = loop
        self._read = 0
        loop.add_reader(descriptor, self._read_some)

    def finish(self, most_bytes: int = 4 * 1024 * 1024) -> None:
        """What is in the pipe now is read; what comes later is thrown away."""
        read = 0
        while self._descriptor is not None and read < most_bytes:
            count = self._read_some()
            if count == 0:
                break
            read += count
        self._sink = None

    def _go_on(self) -> None:
        if self._descriptor is not None:
            self._loop.add_reader(self._descriptor, self._read_some)

    def _read_some(self) -> int:
        if self._descriptor is None:
            return 0
        try:
            data = os.read(self._descriptor, 65536)
        except BlockingIOError:
            return 0
        if not data:
            self._loop.remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = None
            return 0
        if self._sink is not None:
            self._sink(data)
        self._read += len(data)
        if self._read > FLOOD_BYTES:
            self._loop.remove_reader(self._descriptor)
            self._loop.call_later(FLOOD_PAUSE_SECONDS, self._go_on)
        return len(data)


def _first_lines(data: bytes, count: int) -> bytes:
    return b"".join(data.splitlines(keepends=True)[:count])


def _last_lines(data: bytes, count: int) -> bytes:
    return b"".join(data.splitlines(keepends=True)[-count:])


def _keep_newest(directory: str, count: int) -> None:
    os.makedirs(directory, exist_ok=True)
    files: list[os.DirEntry[str]] = sorted(os.scandir(directory), key=lambda entry: entry.stat().st_mtime)
    for entry in files[: max(0, len(files) - count)]:
        os.unlink(entry.path)
