"""`python -m tests.benchmarks._stream_server ours|bare`: a server of event streams in a process of its own.

It prints one line, `<base url> <path of the stream> <cookie>`, and ends when its standard input does.
`POST /emit?count=N` makes N events, each with the monotonic clock's time in it.
"""

from __future__ import annotations

import asyncio
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import uvicorn
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from companion_web.app import create_app
from companion_web.sign_in import one_time_link
from session import events as e
from tests.companion_web import story
from tests.companion_web.stage import CATALOGUE, AnnouncedServer, Browserlike, stage

SESSION = "bench"
PAYLOAD = "x" * 300
"""Makes a message of the bare server as long as one of ours."""


class Bare:
    """What one would write with sse-starlette alone: a queue for each client."""

    def __init__(self) -> None:
        self._queues: set[asyncio.Queue[ServerSentEvent]] = set()
        self._seq = 0

    async def stream(self, request: Request) -> Response:
        """The stream."""
        return EventSourceResponse(self._messages(), ping=15, sep="\n")

    async def _messages(self) -> AsyncIterator[ServerSentEvent]:
        queue: asyncio.Queue[ServerSentEvent] = asyncio.Queue()
        self._queues.add(queue)
        try:
            while True:
                yield await queue.get()
        finally:
            self._queues.discard(queue)

    async def emit(self, request: Request) -> Response:
        """Events to every queue."""
        for _ in range(int(request.query_params["count"])):
            self._seq += 1
            text = f"sent {time.monotonic_ns()} {PAYLOAD}"
            for queue in self._queues:
                queue.put_nowait(ServerSentEvent(text, id=str(self._seq), event="change", sep="\n"))
        return Response(str(self._seq))


async def serve_bare(listener: socket.socket) -> None:
    """The bare server until the input ends."""
    bare = Bare()
    app = Starlette(routes=[Route("/events", bare.stream), Route("/emit", bare.emit, methods=["POST"])])
    await _serve(app, listener, f"http://127.0.0.1:{listener.getsockname()[1]} /events -")


async def serve_ours(directory: Path) -> None:
    """The companion pages until the input ends."""
    async with stage(directory) as made:
        await made.session(SESSION, [*story.opening(), *story.start()])

        async def emit(request: Request) -> Response:
            seq = 0
            for _ in range(int(request.query_params["count"])):
                seq = await made.append(SESSION, e.UpdatePosted(text=f"sent {time.monotonic_ns()}"))
            return Response(str(seq))

        async def healthy() -> dict[str, str | None]:
            return {}

        app = create_app(
            made.settings,
            made.log,
            made.commands,
            made.directory,
            made.artifacts,
            made.pulse,
            CATALOGUE,
            made.governance,
            healthy,
            [Route("/emit", emit, methods=["POST"])],
            images=made.images,
            warming=made.warming,
            customs=made.customs,
            slack=made.slack,
        )
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url=made.url) as http:
            link = await one_time_link(made.directory, made.url, await made.person("Ada"))
            await Browserlike(http, made.url).sign_in(link)
            cookie = f"bellhop={http.cookies['bellhop']}"
        await _serve(app, made.listener, f"{made.url} /s/{SESSION}/events {cookie}")


async def _serve(app: Starlette, listener: socket.socket, line: str) -> None:
    listener.listen(4096)
    server = AnnouncedServer(uvicorn.Config(app, log_level="error", lifespan="off", access_log=False))
    running = asyncio.create_task(server.serve(sockets=[listener]))
    await server.ready.wait()
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)
    server.should_exit = server.force_exit = True
    await running


def main() -> None:
    """Serve what the argument names."""
    if sys.argv[1] == "ours":
        with tempfile.TemporaryDirectory() as directory:
            asyncio.run(serve_ours(Path(directory)))
    else:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            asyncio.run(serve_bare(listener))


if __name__ == "__main__":
    main()
