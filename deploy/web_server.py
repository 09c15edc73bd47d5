"""An ASGI application on a port, as long as a context."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from starlette.types import ASGIApp

from sandbox.broker.socket_server import KEEP_ALIVE_SECONDS, QuietServer
from session.settings import SettingsError

_GRACE_SECONDS = 3


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one.

    Raises: SettingsError, when the port is taken.
    """
    try:
        listener = socket.create_server((host, port))
    except OSError as error:
        raise SettingsError(
            f"WEB_PORT={port} cannot be used on {host} ({error.strerror}). Choose another, for example "
            "WEB_PORT=8301, or WEB_PORT=0 for any free one"
        ) from error
    # asyncio does it for its own sockets alone; an answer in two pieces waits 40 ms between them without.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


@asynccontextmanager
async def serving(app: ASGIApp, listener: socket.socket) -> AsyncIterator[None]:
    """Serves until the context ends; streams that are still open get a moment, then are cut."""
    config = uvicorn.Config(
        app,
        lifespan="off",
        log_config=None,
        access_log=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    server = QuietServer(config)
    running = asyncio.create_task(server.serve([listener]), name="web server")
    try:
        await server.ready.wait()
        yield
    finally:
        server.should_exit = True
        await running
        listener.close()
