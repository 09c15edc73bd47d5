"""A box's connection as bytes: plain, or inside TLS that ends here."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

PIECE_BYTES = 256 * 1024
CLOSE_SECONDS = 2.0
# Whoever asked may read slowly: the program after it in a pipe takes its time, or the machine does.
ASKED_CLOSE_SECONDS = 60.0
LEAST_WAIT_SECONDS = 0.01

T = TypeVar("T")


class Gone(Exception):
    """The other end has closed the connection, or was silent for too long."""


class Stream(Protocol):
    """Bytes both ways."""

    async def read(self, limit: int = PIECE_BYTES) -> bytes:
        """The next bytes, empty at the end. Raises: Gone."""
        ...

    async def write(self, data: bytes) -> None:
        """Return when there is room for more. Raises: Gone."""
        ...

    async def write_eof(self) -> None:
        """Let the other end know that nothing more comes. Raises: Gone."""
        ...

    async def close(self) -> None:
        """End the stream."""
        ...


class Activity:
    """When bytes last went through, either way: what is busy in one direction may be silent in the other."""

    def __init__(self, idle_seconds: float) -> None:
        self._idle_seconds = idle_seconds
        self._last = time.monotonic()

    def touch(self) -> None:
        """Bytes went through."""
        self._last = time.monotonic()

    @property
    def seconds_left(self) -> float:
        """How long the silence may go on."""
        return self._last + self._idle_seconds - time.monotonic()


class PlainStream:
    """A connection as it is. `activity` is shared by all connections that serve one purpose; `close_seconds`
    is how long its end may take to read what is left when it is closed."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        activity: Activity,
        close_seconds: float = CLOSE_SECONDS,
    ) -> None:
        self.activity = activity
        self._close_seconds = close_seconds
        self._reader = reader
        self._writer = writer
        self._kept = b""
        writer.transport.set_write_buffer_limits(high=2 * PIECE_BYTES)

    async def read(self, limit: int = PIECE_BYTES) -> bytes:
        if self._kept:
            data, self._kept = self._kept[:limit], self._kept[limit:]
            return data
        data = await self._patiently(lambda: self._reader.read(limit))
        self.activity.touch()
        return data

    def put_back(self, data: bytes) -> None:
        """Let the next `read` begin with the data."""
        self._kept = data + self._kept

    async def write(self, data: bytes) -> None:
        self._writer.write(data)
        await self._patiently(self._writer.drain)
        self.activity.touch()

    async def write_eof(self) -> None:
        try:
            self._writer.write_eof()
        except OSError as error:
            raise Gone from error

    async def close(self) -> None:
        self._writer.close()
        try:
            async with asyncio.timeout(self._close_seconds):
                await self._writer.wait_closed()
        except TimeoutError:
            self._writer.transport.abort()
        except OSError:
            return  # it is lost, which is an end too

    async def _patiently(self, wait: Callable[[], Awaitable[T]]) -> T:
        while True:
            try:
                async with asyncio.timeout(max(self.activity.seconds_left, LEAST_WAIT_SECONDS)):
                    return await wait()
            except TimeoutError as error:
                if self.activity.seconds_left <= 0:
                    raise Gone from error
            except OSError as error:
                raise Gone from error


class TlsStream:
    """The server's end of TLS inside another stream."""

    def __init__(self, inner: Stream, context: ssl.SSLContext) -> None:
        self._inner = inner
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)

    async def handshake(self) -> None:
        """Agree on keys. Raises: Gone."""
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                await self._flush()
                await self._more()
            except ssl.SSLError as error:
                await self._flush()
                raise Gone from error
            else:
                await self._flush()
                return

    async def read(self, limit: int = PIECE_BYTES) -> bytes:
        while True:
            try:
                return self._decrypted(limit)
            except ssl.SSLWantReadError:
                await self._flush()
                await self._more()
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                return b""
            except ssl.SSLError as error:
                raise Gone from error

    async def write(self, data: bytes) -> None:
        left = memoryview(data)
        try:
            while left:
                left = left[self._tls.write(left) :]
        except ssl.SSLError as error:
            raise Gone from error
        await self._flush()

    async def write_eof(self) -> None:
        with contextlib.suppress(ssl.SSLError):  # it always wants to read the other end's goodbye
            self._tls.unwrap()
        await self._flush()

    async def close(self) -> None:
        with contextlib.suppress(Gone):
            await self.write_eof()
        await self._inner.close()

    def _decrypted(self, limit: int) -> bytes:
        parts = [self._tls.read(limit)]
        size = len(parts[0])
        with contextlib.suppress(ssl.SSLError):  # what stops it now is met again by the next read
            while parts[-1] and size < limit:
                parts.append(self._tls.read(limit - size))
                size += len(parts[-1])
        return b"".join(parts)

    async def _more(self) -> None:
        data = await self._inner.read()
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    async def _flush(self) -> None:
        if self._outgoing.pending:
            await self._inner.write(self._outgoing.read())
