"""Responses that break the connection they travel on, which ASGI alone has no word for."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import TYPE_CHECKING, cast

from starlette.responses import Response
from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

Peer = tuple[str, int]
Transports = dict[Peer, asyncio.Transport]


def tracking_protocol(transports: Transports) -> type[asyncio.Protocol]:
    """An HTTP protocol that notes in `transports` which connection belongs to which peer."""

    class TrackingProtocol(H11Protocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            transports[transport.get_extra_info("peername")[:2]] = transport
            super().connection_made(transport)

        def connection_lost(self, exc: Exception | None) -> None:
            transports.pop(self.transport.get_extra_info("peername")[:2], None)
            super().connection_lost(exc)

    return TrackingProtocol


class BrokenResponse(Response):
    """Sends `sent` of a body that never ends, then breaks the connection; None sends not even headers."""

    def __init__(self, transports: Transports, sent: bytes | None) -> None:
        super().__init__(media_type="text/event-stream")
        del self.headers["content-length"]  # so that the body is chunked, as a stream is
        self._transports = transports
        self._sent = sent

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        transport = self._transports[cast("Peer", tuple(scope["client"]))]
        if self._sent is None:
            _reset(transport)
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self._sent or b"", "more_body": True})
        transport.close()  # what was written still goes out; the end of the chunked body below never does
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def _reset(transport: asyncio.Transport) -> None:
    connection: socket.socket = transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
