"""The socket that the pages are served on, and how long a connection is kept."""

from __future__ import annotations

import asyncio
import socket
from contextlib import AbstractAsyncContextManager, closing
from pathlib import Path

from starlette.applications import Starlette

from deploy import web_server
from deploy.web_server import listen
from sandbox.broker import socket_server


def test_answers_in_pieces_do_not_wait_for_each_other() -> None:
    with closing(listen("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()):
        taken, _ = listener.accept()
        with taken:
            assert taken.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


class Clock(asyncio.SelectorEventLoop):
    """A loop for which it can be later than it is."""

    later = 0.0

    def time(self) -> float:
        return super().time() + self.later


CLIENTS_KEEP_SECONDS = 15
"""The longest that a client of ours keeps a silent connection: aiohttp's. Those of httpx keep it for 5."""


async def asked_twice(server: AbstractAsyncContextManager[None], address: str | tuple[str, int]) -> None:
    """Two requests on one connection, as far apart as they may be."""
    async with server:
        if isinstance(address, str):
            reader, writer = await asyncio.open_unix_connection(address)
        else:
            reader, writer = await asyncio.open_connection(*address)
        for _ in range(2):
            writer.write(b"GET / HTTP/1.1\r\nHost: bellhop\r\n\r\n")
            assert await reader.readuntil(b"Not Found")
            loop = asyncio.get_running_loop()
            assert isinstance(loop, Clock)
            loop.later += CLIENTS_KEEP_SECONDS
            # What is due by now happens before the loop comes back here.
            await asyncio.sleep(0.001)
        writer.close()
        await writer.wait_closed()


def test_who_answers_keeps_a_silent_connection_longer_than_who_asks(bellhop_home: Path) -> None:
    """Closing it first costs the request that is just being sent."""
    app, path, listener = Starlette(), bellhop_home / "broker.sock", listen("127.0.0.1", 0)
    with asyncio.Runner(loop_factory=Clock) as runner:
        runner.run(asked_twice(web_server.serving(app, listener), listener.getsockname()))
        runner.run(asked_twice(socket_server.serving(app, path, {}), str(path)))
