"""A Unix socket in front of another, which can be taken away and put back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

_CHUNK_BYTES = 65_536


class Relay:
    """Carries bytes between its own socket, at `address`, and the engine's."""

    def __init__(self, path: Path, target: str) -> None:
        self._path = path
        self._target = target
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()

    @property
    def address(self) -> str:
        """Where it listens, as DOCKER_HOST wants it."""
        return f"unix://{self._path}"

    async def start(self) -> None:
        """It listens."""
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
        there_reader, there_writer = await asyncio.open_unix_connection(self._target)
        both = {writer, there_writer}
        self._open |= both
        try:
            await asyncio.gather(_copy(reader, there_writer), _copy(there_reader, writer))
        finally:
            self._open -= both


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(_CHUNK_BYTES):
            writer.write(data)
            await writer.drain()
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
