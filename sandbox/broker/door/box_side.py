"""The box's end of HTTP: requests in, answers out, over one connection."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Sequence

import h11

from sandbox.broker.door.headers import Header
from sandbox.broker.door.streams import PIECE_BYTES, Gone, Stream

MAX_HEADER_BYTES = 32 * 1024
LINGER_BYTES = 8 * 1024 * 1024
LINGER_SECONDS = 20.0
_LENGTHS = (b"content-length", b"transfer-encoding")


class Malformed(Exception):
    """The box does not speak HTTP as it should. status: of the answer; the message is its text."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class BoxSide:
    """Speaks HTTP/1.1 as the server over a stream."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.answering = False
        self.has_body = False
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEADER_BYTES)
        self._method = b""

    async def request(self) -> h11.Request | None:
        """The next request, None when the box has no more. Raises: Malformed, Gone."""
        event = await self._event(limit=MAX_HEADER_BYTES // 2)
        if not isinstance(event, h11.Request):
            return None
        self._method = event.method
        self.answering = False
        if sum(len(name) + len(value) for name, value in event.headers) > MAX_HEADER_BYTES:
            raise Malformed(431, f"The headers of a request are at most {MAX_HEADER_BYTES} bytes long.")
        lengths = {name: value for name, value in event.headers if name in _LENGTHS}
        if len(lengths) == len(_LENGTHS):
            raise Malformed(400, "The request gives its length in two ways.")
        self.has_body = bool(lengths) and lengths.get(b"content-length") != b"0"
        if not self.has_body:
            await self._event(limit=PIECE_BYTES)  # its end is here already, and only wants to be noticed
        return event

    async def body(self) -> AsyncIterator[bytes]:
        """The body of the request. Raises: Malformed, Gone."""
        if self._http.they_are_waiting_for_100_continue and self._http.our_state is h11.SEND_RESPONSE:
            await self._send(h11.InformationalResponse(status_code=100, headers=[], reason=b"Continue"))
        while isinstance(event := await self._event(limit=PIECE_BYTES), h11.Data):
            yield bytes(event.data)
        if not isinstance(event, h11.EndOfMessage):
            raise Gone

    async def start(self, status: int, headers: Iterable[Header], reason: bytes = b"") -> None:
        """Begin the answer. Raises: Gone."""
        self.answering = True
        close: Sequence[Header] = [("Connection", "close")] if self._http.their_state is h11.SEND_BODY else []
        encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in [*headers, *close]]
        await self._send(h11.Response(status_code=status, headers=encoded, reason=reason))

    async def send(self, data: bytes) -> None:
        """More of the answer's body. Raises: Gone."""
        if data:
            await self._send(h11.Data(data=data))

    async def finish(self) -> None:
        """The answer is whole. Raises: Gone."""
        await self._send(h11.EndOfMessage())

    async def answer(self, status: int, sentence: str) -> None:
        """A whole answer of one sentence, from the door itself. Raises: Gone."""
        if self._http.our_state not in {h11.IDLE, h11.SEND_RESPONSE}:
            raise Gone
        body = f"{sentence}\n".encode()
        headers = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))]
        await self.start(status, headers)
        await self.send(b"" if self._method == b"HEAD" else body)
        await self.finish()

    async def established(self) -> bytes:
        """Answer a CONNECT: from here on bytes go both ways. What the box sent already. Raises: Gone."""
        await self._send(h11.Response(status_code=200, headers=[], reason=b"Connection established"))
        return self._http.trailing_data[0]

    async def next(self) -> bool:
        """Whether the connection is good for another request."""
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
            return True
        if self._http.their_state in {h11.SEND_BODY, h11.ERROR}:
            await self._linger()
        return False

    async def _linger(self) -> None:
        """Take in what is under way, or the box would lose the answer together with the connection."""
        left = LINGER_BYTES
        with contextlib.suppress(Gone, TimeoutError):
            async with asyncio.timeout(LINGER_SECONDS):
                await self.stream.write_eof()
                while left > 0 and (data := await self.stream.read()):
                    left -= len(data)

    async def _event(self, limit: int) -> object:
        try:
            while (event := self._http.next_event()) is h11.NEED_DATA:
                self._http.receive_data(await self.stream.read(limit))
        except h11.RemoteProtocolError as error:
            raise Malformed(error.error_status_hint, f"This is not HTTP as it should be: {error}.") from error
        return event

    async def _send(self, event: h11.Event) -> None:
        try:
            data = self._http.send(event)
        except h11.LocalProtocolError as error:
            raise Gone from error
        if data:
            await self.stream.write(data)
