"""A Docker engine that goes away, or refuses, at exactly one of the requests made of it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Literal

Fault = Literal["before", "after", "refuses"]
"""The connection is cut before the engine hears of the request, or before its answer comes back; or the
engine answers that it will not."""

_CHUNK_BYTES = 65_536
# A request's first bytes are read at once: the SDK sends its head in one piece.
_REQUEST = re.compile(rb"(GET|HEAD|POST|PUT|DELETE) /\S+ HTTP/1\.1\r\n")
_NO = b'{"message":"it will not"}'
_REFUSAL = (
    b"HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/json\r\n"
    b"Connection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(_NO), _NO)
)


class FailingEngine:
    """A socket at `address` in front of the engine's. After a cut nobody is there until `mend`."""

    def __init__(self, path: Path, target: str) -> None:
        self._path = path
        self._target = target.removeprefix("unix://")
        self._left: int | None = None
        self._fault: Fault = "before"
        self._open: set[asyncio.StreamWriter] = set()
        self._first: tuple[bytes, Callable[[], Awaitable[object]]] | None = None
        self.happened = asyncio.Event()
        self.turned_away = 0

    @property
    def directory(self) -> Path:
        """Where its socket lies."""
        return self._path.parent

    @property
    def address(self) -> str:
        """Where it listens, as DOCKER_HOST wants it."""
        return f"unix://{self._path}"

    def fail_after(self, requests: int, fault: Fault) -> None:
        """So many requests pass from now on, and the fault happens at the next."""
        self._left, self._fault = requests, fault
        self.happened.clear()

    def first(self, words: bytes, act: Callable[[], Awaitable[object]]) -> None:
        """Before the next request with these words in its first line is handed on, the act is done."""
        self._first = (words, act)

    def mend(self) -> None:
        """Everything passes."""
        self._left = None
        self.happened.clear()

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        if self.happened.is_set() and self._fault != "refuses":
            self.turned_away += 1
            writer.close()
            return
        there_reader, there_writer = await asyncio.open_unix_connection(self._target)
        both = {writer, there_writer}
        self._open |= both
        try:
            await asyncio.gather(
                self._ask(reader, writer, there_writer), _copy(there_reader, writer, self._swallows)
            )
        finally:
            self._open -= both

    async def _ask(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, there: asyncio.StreamWriter
    ) -> None:
        with suppress(OSError):
            while data := await reader.read(_CHUNK_BYTES):
                if _REQUEST.match(data) and self._is_due():
                    self.happened.set()
                    if self._fault == "refuses":
                        writer.write(_REFUSAL)
                        await writer.drain()
                        writer.close()
                        break
                    if self._fault == "before":
                        self.cut()
                        break
                await self._act(data.partition(b"\r\n")[0])
                there.write(data)
                await there.drain()
        there.close()
        with suppress(OSError):
            await there.wait_closed()

    async def _act(self, line: bytes) -> None:
        if self._first is not None and self._first[0] in line:
            (_, act), self._first = self._first, None
            await act()

    def _is_due(self) -> bool:
        if self._left is None or self.happened.is_set():
            return False
        self._left -= 1
        return self._left < 0

    def _swallows(self) -> bool:
        """Whether an answer came to the request that is cut after it: now it is."""
        if self.happened.is_set() and self._fault == "after":
            self.cut()
            return True
        return False

    def cut(self) -> None:
        """Every connection is closed."""
        for writer in [*self._open]:
            writer.close()


async def _copy(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, swallows: Callable[[], bool]
) -> None:
    with suppress(OSError):
        while data := await reader.read(_CHUNK_BYTES):
            if swallows():
                break
            writer.write(data)
            await writer.drain()
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


@asynccontextmanager
async def failing_engine(path: Path, target: str) -> AsyncIterator[FailingEngine]:
    """One that listens, at `path`, in front of the engine at `target` (a unix:// address)."""
    made = FailingEngine(path, target)
    server = await asyncio.start_unix_server(made.carry, path)
    try:
        yield made
    finally:
        server.close()
        made.cut()
        await server.wait_closed()
