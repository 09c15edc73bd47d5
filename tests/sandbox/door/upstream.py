"""A server outside: HTTPS or HTTP on the loopback, that keeps what it was asked and answers as it is told."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import h11

from sandbox.broker.door.authority import Authority

NAME = "*.example.com"


@dataclass(frozen=True, slots=True)
class Got:
    """A request as it came in; header names in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """What to answer: with its length, or in `pieces` (chunked). `early`: before the body was read."""

    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b"fine"
    pieces: tuple[bytes, ...] = ()
    early: bool = False


@dataclass(slots=True)
class Upstream:
    """The running server. connections: how many were ever made to it. raw: all that was read of them, as it
    came out of TLS. lingers: whether it takes in what still comes after its last answer; hanging up at once
    may lose the answer."""

    port: int
    trusted: ssl.SSLContext
    reply: Callable[[Got], Reply] = lambda got: Reply()
    got: list[Got] = field(default_factory=list)
    connections: int = 0
    raw: bytearray = field(default_factory=bytearray)
    lingers: bool = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, to its end."""
        self.connections += 1
        http = h11.Connection(h11.SERVER)
        with contextlib.suppress(OSError, h11.RemoteProtocolError, h11.LocalProtocolError):
            while await self._one(http, reader, writer):
                http.start_next_cycle()
            while self.lingers and await reader.read(65536):
                pass
        writer.close()

    async def _one(
        self, http: h11.Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        async def event() -> object:
            while (found := http.next_event()) is h11.NEED_DATA:
                data = await reader.read(65536)
                self.raw += data
                http.receive_data(data)
            return found

        asked = await event()
        if not isinstance(asked, h11.Request):
            return False
        headers = {name.decode(): value.decode("latin-1") for name, value in asked.headers}
        head = Got(asked.method.decode(), asked.target.decode(), headers, b"")
        reply = self.reply(head)
        body = b""
        while not reply.early and isinstance(part := await event(), h11.Data):
            body += bytes(part.data)
        self.got.append(Got(head.method, head.target, headers, body))
        await self._answer(http, writer, head.method, reply)
        return http.our_state is h11.DONE and http.their_state is h11.DONE

    async def _answer(
        self, http: h11.Connection, writer: asyncio.StreamWriter, method: str, reply: Reply
    ) -> None:
        length = [] if reply.pieces else [("Content-Length", str(len(reply.body)))]
        names = {name.lower() for name, _ in reply.headers}
        headers = [*reply.headers, *([] if "content-length" in names else length)]
        writer.write(http.send(h11.Response(status_code=reply.status, headers=headers)) or b"")
        if method != "HEAD" and reply.status not in {204, 304}:
            for piece in reply.pieces or (reply.body,):
                writer.write(http.send(h11.Data(data=piece)) or b"")
                await writer.drain()
        writer.write(http.send(h11.EndOfMessage()) or b"")
        await writer.drain()


@asynccontextmanager
async def upstream(*, tls: bool = True) -> AsyncIterator[Upstream]:
    """A running server. Its certificate is for `*.example.com`, signed by whom `trusted` trusts."""
    authority = Authority.new("outside")
    trusted = ssl.create_default_context(cadata=authority.certificate)
    server = Upstream(0, trusted)
    listener = await asyncio.start_server(
        server.serve, "127.0.0.1", 0, ssl=authority.context(NAME) if tls else None
    )
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()
