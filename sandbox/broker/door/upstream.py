"""The server's end: a connection to an address that was looked at before, and HTTP over it."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Sequence

import h11

from sandbox.broker.door.headers import Header
from sandbox.broker.door.parts import DoorParts
from sandbox.broker.door.streams import PIECE_BYTES, Activity, Gone, PlainStream
from sandbox.broker.door.targets import Endpoint

MAX_ANSWER_HEAD_BYTES = 64 * 1024


class UpstreamFailed(Exception):
    """The server cannot be reached, or does not answer as it should; the message says how."""


async def connect(
    endpoint: Endpoint, addresses: Sequence[str], parts: DoorParts, *, tls: bool
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection to the first of the addresses that answers. Raises: UpstreamFailed."""
    context = parts.ssl_context if tls else None
    failure: Exception = OSError("it has no address")
    try:
        async with asyncio.timeout(parts.connect_seconds):
            for address in addresses:
                try:
                    return await asyncio.open_connection(
                        address,
                        endpoint.port,
                        ssl=context,
                        server_hostname=endpoint.host if tls else None,
                        limit=PIECE_BYTES,
                    )
                except ssl.SSLError as error:
                    raise UpstreamFailed(f"{endpoint.netloc} cannot be trusted: {_words(error)}.") from error
                except OSError as error:
                    failure = error
    except TimeoutError as error:
        seconds = round(parts.connect_seconds)
        raise UpstreamFailed(f"{endpoint.netloc} did not answer within {seconds} seconds.") from error
    raise UpstreamFailed(f"{endpoint.netloc} cannot be reached: {_words(failure)}.") from failure


class Upstream:
    """Speaks HTTP/1.1 as the client over one connection. It may serve several requests, one after another."""

    def __init__(self, endpoint: Endpoint, stream: PlainStream, reader: asyncio.StreamReader) -> None:
        self.endpoint = endpoint
        self._stream = stream
        self._reader = reader
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_ANSWER_HEAD_BYTES)

    @classmethod
    async def open(
        cls, endpoint: Endpoint, addresses: Sequence[str], parts: DoorParts, activity: Activity
    ) -> Upstream:
        """A connection to one of the addresses. Raises: UpstreamFailed."""
        reader, writer = await connect(endpoint, addresses, parts, tls=endpoint.scheme == "https")
        return cls(endpoint, PlainStream(reader, writer, activity), reader)

    @property
    def usable(self) -> bool:
        """Whether another request may be sent."""
        return self._http.our_state is h11.IDLE and not self._reader.at_eof()

    async def send(
        self, method: str, target: str, headers: Sequence[Header], body: AsyncIterator[bytes] | None
    ) -> None:
        """Send a request. Raises: UpstreamFailed, and what `body` raises."""
        encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        await self._send(h11.Request(method=method, target=target, headers=encoded))
        if body is not None:
            async for piece in body:
                await self._send(h11.Data(data=piece))
        await self._send(h11.EndOfMessage())

    async def head(self) -> h11.Response:
        """The beginning of the answer. Raises: UpstreamFailed."""
        while not isinstance(event := await self._event(), h11.Response):
            if not isinstance(event, h11.InformationalResponse):
                raise UpstreamFailed(f"{self.endpoint.netloc} closed the connection without an answer.")
        return event

    async def body(self) -> AsyncIterator[bytes]:
        """The body of the answer. Raises: UpstreamFailed."""
        while isinstance(event := await self._event(), h11.Data):
            yield bytes(event.data)
        if not isinstance(event, h11.EndOfMessage):
            raise UpstreamFailed(f"{self.endpoint.netloc} broke off its answer.")

    def next(self) -> bool:
        """Whether the connection is good for another request."""
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
            return True
        return False

    async def close(self) -> None:
        """End the connection."""
        with contextlib.suppress(Gone):
            await self._stream.close()

    async def _event(self) -> object:
        try:
            while (event := self._http.next_event()) is h11.NEED_DATA:
                self._http.receive_data(await self._stream.read())
        except h11.RemoteProtocolError as error:
            raise UpstreamFailed(f"{self.endpoint.netloc} does not answer as it should: {error}.") from error
        except Gone as error:
            raise UpstreamFailed(f"{self.endpoint.netloc} broke off, or was silent too long.") from error
        return event

    async def _send(self, event: h11.Event) -> None:
        try:
            data = self._http.send(event)
            if data:
                await self._stream.write(data)
        except (h11.LocalProtocolError, Gone) as error:
            raise UpstreamFailed(f"{self.endpoint.netloc} does not take the request: {error}.") from error


def _words(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return str(error.verify_message).rstrip(".")
    return str(getattr(error, "strerror", None) or error or type(error).__name__).rstrip(".")
