"""A model that follows a script, behind the same HTTP surface as a real one (Chat Completions)."""

from __future__ import annotations

import asyncio
import itertools
import json
import socket
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from deploy.demo.chat_requests import ChatRequest, RequestRefused, parse_chat_request
from deploy.demo.replies import Answer, Script

LOOPBACK = "127.0.0.1"
SHUTDOWN_SECONDS = 2


class ModelServer:
    """Serves one script per model name at `/v1`, and refuses what the real service refuses."""

    def __init__(self, scripts: Mapping[str, Script], api_key: str) -> None:
        self._scripts = scripts
        self._api_key = api_key
        self._numbers = itertools.count(1)
        self._started_at = int(time.time())

    @asynccontextmanager
    async def serve(self, host: str = LOOPBACK, port: int = 0) -> AsyncIterator[str]:
        """The base URL to give as `OPENAI_BASE_URL`, while the server runs; port 0 takes a free one."""
        listener = socket.create_server((host, port))
        config = uvicorn.Config(
            self.app(),
            http=self.protocol_class(),
            lifespan="off",
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        )
        server = _EmbeddedServer(config)
        running = asyncio.create_task(server.serve([listener]), name="model server")
        try:
            await server.ready.wait()
            yield f"http://{host}:{listener.getsockname()[1]}/v1"
        finally:
            server.should_exit = True
            await running
            listener.close()

    def app(self) -> Starlette:
        """The ASGI application."""
        return Starlette(
            routes=[
                Route("/v1/chat/completions", self._completions, methods=["POST"]),
                Route("/v1/models", self._models, methods=["GET"]),
            ],
            exception_handlers={RequestRefused: self._refusal},
        )

    def protocol_class(self) -> type[asyncio.Protocol] | str:
        """The uvicorn HTTP protocol to serve with."""
        return "h11"

    async def respond(self, http: Request, request: ChatRequest) -> Response:
        """The response to a valid request: the reply of its model's script."""
        reply = self._scripts[request.model].reply(request)
        return send(Answer(request, reply, next(self._numbers), int(time.time())))

    def on_refusal(self, error: RequestRefused) -> None:
        """Called for each request that is refused; does nothing here."""

    async def _completions(self, http: Request) -> Response:
        self._authenticate(http)
        request = parse_chat_request(_json(await http.body()))
        if request.model not in self._scripts:
            raise RequestRefused(
                f"The model `{request.model}` does not exist or you do not have access to it.",
                param="model",
                code="model_not_found",
                status=404,
            )
        return await self.respond(http, request)

    async def _models(self, http: Request) -> Response:
        self._authenticate(http)
        entries = [
            {"id": name, "object": "model", "created": self._started_at, "owned_by": "script"}
            for name in self._scripts
        ]
        return JSONResponse({"object": "list", "data": entries})

    def _authenticate(self, http: Request) -> None:
        if http.headers.get("authorization") != f"Bearer {self._api_key}":
            raise RequestRefused("Incorrect API key provided.", code="invalid_api_key", status=401)

    async def _refusal(self, http: Request, error: Exception) -> Response:
        assert isinstance(error, RequestRefused)
        self.on_refusal(error)
        return JSONResponse(error_body(error.message, error.code, error.param), status_code=error.status)


def error_body(
    message: str, code: str | None = None, param: str | None = None, kind: str = "invalid_request_error"
) -> dict[str, dict[str, str | None]]:
    """The body of an error answer."""
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def send(answer: Answer) -> Response:
    """The response that carries `answer`, streamed if the request asked for it."""
    if answer.request.stream:
        return StreamingResponse(_paced(answer), media_type="text/event-stream")
    return JSONResponse(answer.completion())


async def _paced(answer: Answer) -> AsyncIterator[bytes]:
    for event in answer.events():
        if answer.reply.delay_seconds:
            await asyncio.sleep(answer.reply.delay_seconds)
        yield event


def _json(body: bytes) -> object:
    try:
        return json.loads(body)
    except ValueError as error:
        raise RequestRefused("We could not parse the JSON body of your request.") from error


class _EmbeddedServer(uvicorn.Server):
    """A uvicorn server inside somebody else's process: it says when it listens and leaves signals alone."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
