"""A Unix socket in front of another, which can be taken away and put back, or keep an answer to itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

_CHUNK_BYTES = 65_536


@dataclass(eq=False, slots=True)
class KeptBack:
    """The answer to one request, which is not handed on: what was asked for is done, and who asked does not
    know."""

    words: tuple[bytes, ...]
    reached: asyncio.Event = field(default_factory=asyncio.Event)


class Relay:
    """Carries bytes between its own socket, at `address`, and the engine's."""

    def __init__(self, path: Path, target: str) -> None:
        self._path = path
        self._target = target
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._wanted: list[KeptBack] = []

    @property
    def address(self) -> str:
        """Where it listens, as DOCKER_HOST wants it."""
        return f"unix://{self._path}"

    def keep_back(self, *words: bytes) -> KeptBack:
        """The answer to the next request with these words in its first line is kept for good."""
        kept = KeptBack(words)
        self._wanted.append(kept)
        return kept

    async def start(self) -> None:
        """It listens; nothing happens when it does so already."""
        if self._server is not None:
            return
        self._server = await asyncio.start_unix_server(self._carry, self._path)

    async def stop(self) -> None:
        """Nobody listens any more, and every connection is cut."""
        if self._server is None:
            return
        server, self._server = self._server, None
        server.close()
        self._path.unlink(missing_ok=True)
        for writer in [*self._open]:
            writer.close()
        await server.wait_closed()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there_reader, there_writer = await asyncio.open_unix_connection(self._target)
        except OSError:
            writer.close()  # the engine itself is away
            return
        both = {writer, there_writer}
        self._open |= both
        kept: list[KeptBack] = []
        try:
            await asyncio.gather(
                self._asks(reader, there_writer, kept), self._answers(there_reader, writer, kept)
            )
        finally:
            self._open -= both

    async def _asks(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, kept: list[KeptBack]
    ) -> None:
        with suppress(OSError):
            while data := await reader.read(_CHUNK_BYTES):
                kept += self._fitting(data.partition(b"\r\n")[0])
                writer.write(data)
                await writer.drain()
        await _closed(writer)

    async def _answers(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, kept: list[KeptBack]
    ) -> None:
        with suppress(OSError):
            while data := await reader.read(_CHUNK_BYTES):
                for one in kept:
                    one.reached.set()
                if not kept:
                    writer.write(data)
                    await writer.drain()
        await _closed(writer)

    def _fitting(self, line: bytes) -> list[KeptBack]:
        fitting = [kept for kept in self._wanted if all(word in line for word in kept.words)]
        self._wanted = [kept for kept in self._wanted if kept not in fitting]
        return fitting


async def _closed(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


@asynccontextmanager
async def relay(path: Path, target: str) -> AsyncIterator[Relay]:
    """A relay that listens, at `path`, in front of the engine at `target` (a unix:// address)."""
    made = Relay(path, target.removeprefix("unix://"))
    await made.start()
    try:
        yield made
    finally:
        await made.stop()
