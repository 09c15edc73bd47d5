"""The broker's socket: who connects is known from the kernel, not from anything they say."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import structlog
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from sandbox.broker.operations import CALLER, Caller, Part

log = structlog.get_logger()

EVERY_PART: frozenset[Part] = frozenset({"bot", "web", "worker", "operator"})
CREDENTIALS = struct.Struct("3i")
KEEP_ALIVE_SECONDS = 75
"""How long a silent connection is kept. Clients give theirs up earlier: whoever answers must not come first,
or a request that is just being sent meets the end of the connection."""


class QuietServer(uvicorn.Server):
    """Leaves signals to the process, and tells when it has begun to serve."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()


@asynccontextmanager
async def serving(app: ASGIApp, path: Path, users: Mapping[int, frozenset[Part]]) -> AsyncIterator[None]:
    """Serves the application at a Unix socket as long as the context.

    `users` says which parts each user id stands for; everybody else is cut off. The broker's own user and
    root stand for every part.
    """
    allowed = {os.getuid(): EVERY_PART, 0: EVERY_PART, **users}

    class WithPeer(H11Protocol):
        """One connection, with the user at its other end."""

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            uid = peer_uid(transport.get_extra_info("socket"))
            if uid not in allowed:
                log.warning("stranger at the broker", uid=uid)
                transport.abort()
                return
            self.app = _known(self.app, Caller(uid, allowed[uid]))

    listener = _listener(path)
    config = uvicorn.Config(
        app,
        http=WithPeer,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=5,
    )
    server = QuietServer(config)
    running = asyncio.create_task(server.serve([listener]), name="broker")
    try:
        await server.ready.wait()
        yield
    finally:
        server.should_exit = True
        await running
        await asyncio.to_thread(path.unlink, missing_ok=True)


def peer_uid(connection: socket.socket) -> int:
    """The user at the other end of a Unix socket. Source: unix(7), SO_PEERCRED."""
    _, uid, _ = CREDENTIALS.unpack(
        connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size)
    )
    return int(uid)


def _listener(path: Path) -> socket.socket:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    # Who may do what is decided by user; the mode only lets them try.
    path.chmod(0o666)
    listener.listen(256)
    listener.setblocking(False)
    return listener


def _known(app: ASGIApp, caller: Caller) -> ASGIApp:
    async def call(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, CALLER: caller}, receive, send)

    return call
