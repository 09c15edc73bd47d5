"""A tool server for tests: the real protocol on a loopback port, with hands to change what it offers."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn
from mcp.server import Server, ServerRequestContext
from mcp.server.transport_security import TransportSecuritySettings
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    ListToolsResult,
    PaginatedRequestParams,
    TextContent,
    Tool,
    ToolAnnotations,
)
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

TOKEN = "tok-4f9c+/7b21==e6 d0"
HOST = "tools.acme.test"


@dataclass(frozen=True, slots=True)
class Called:
    """A tool call as it arrived."""

    tool: str
    arguments: dict[str, Any]


@dataclass(slots=True)
class McpEmulator:
    """`async with McpEmulator().serving() as url:` gives the address, by a host name that leads to loopback.

    token: what `Authorization: Bearer` must carry, empty for none. tools: what is listed. answers: what each
    tool says. calls: what arrived. status: answer everything with this, if not 0. echoes: the credential is
    repeated in what tools say. old: a server from before the newest protocol. plain_json: answers are JSON
    documents and not event streams.
    """

    token: str = TOKEN
    tools: dict[str, Tool] = field(default_factory=dict)
    answers: dict[str, str] = field(default_factory=dict)
    failing: set[str] = field(default_factory=set)
    calls: list[Called] = field(default_factory=list)
    credentials: set[str] = field(default_factory=set)
    requests: int = 0
    status: int = 0
    redirect: str = ""
    echoes: bool = False
    old: bool = False
    plain_json: bool = False
    held: asyncio.Event | None = None
    called: asyncio.Event = field(default_factory=asyncio.Event)

    def offer(
        self,
        name: str,
        description: str = "Says something.",
        *,
        reads_only: bool | None = None,
        **properties: str,
    ) -> None:
        """List a tool, in place of one of that name; properties: descriptions of its arguments. reads_only:
        the hint, if the server gives one."""
        schema = {
            "type": "object",
            "properties": {key: {"type": "string", "description": text} for key, text in properties.items()},
        }
        hints = None if reads_only is None else ToolAnnotations(read_only_hint=reads_only)
        self.tools[name] = Tool(name=name, description=description, input_schema=schema, annotations=hints)

    def hold(self) -> asyncio.Event:
        """Let calls hang until the event is set."""
        self.held = asyncio.Event()
        return self.held

    @asynccontextmanager
    async def serving(self, certificate: Path | None = None) -> AsyncIterator[str]:
        """The server's URL while it runs; certificate: a PEM file with key, for `https`."""
        listener = socket.create_server(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        server = Server("emulated", on_list_tools=self._list, on_call_tool=self._call)
        app = server.streamable_http_app(
            json_response=self.plain_json,
            transport_security=TransportSecuritySettings(allowed_hosts=[f"{HOST}:*", "127.0.0.1:*"]),
        )
        config = uvicorn.Config(
            _Gate(self, app),
            log_config=None,
            access_log=False,
            lifespan="on",
            timeout_graceful_shutdown=1,
            ssl_certfile=certificate,
        )
        announced = _Announced(config)
        running = asyncio.create_task(announced.serve([listener]), name="tool server")
        try:
            await announced.ready.wait()
            yield f"{'https' if certificate else 'http'}://{HOST}:{port}/mcp"
        finally:
            if self.held is not None:
                self.held.set()
            announced.should_exit = True
            await running
            listener.close()

    async def _list(
        self, context: ServerRequestContext[Any], params: PaginatedRequestParams | None
    ) -> ListToolsResult:
        return ListToolsResult(tools=list(self.tools.values()), ttl_ms=0)

    async def _call(
        self, context: ServerRequestContext[Any], params: CallToolRequestParams
    ) -> CallToolResult:
        self.calls.append(Called(params.name, params.arguments or {}))
        self.called.set()
        if self.held is not None:
            await self.held.wait()
        if params.name not in self.tools:
            raise MCPError(INVALID_PARAMS, f"no tool {params.name}")
        text = self.answers.get(params.name, "done")
        if self.echoes and isinstance(context.request, Request):
            text += f" for {context.request.headers['authorization']}"
        return CallToolResult(content=[TextContent(text=text)], is_error=params.name in self.failing)


class _Gate:
    """What stands before the protocol: the credential, faults, and the manners of older servers."""

    def __init__(self, emulator: McpEmulator, app: ASGIApp) -> None:
        self._emulator = emulator
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        body = await request.body()
        refusal = self._refusal(request, body)
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        handed = iter([{"type": "http.request", "body": body, "more_body": False}])

        async def again() -> Any:
            return next(handed, None) or await receive()

        await self._app(scope, again, send)

    def _refusal(self, request: Request, body: bytes) -> Response | None:
        emulator = self._emulator
        emulator.requests += 1
        given = request.headers.get("authorization", "")
        emulator.credentials.add(given)
        if emulator.redirect:
            return Response(status_code=307, headers={"location": emulator.redirect})
        if emulator.status:
            return JSONResponse({"error": f"refused {given}"}, emulator.status)
        if emulator.token and given != f"Bearer {emulator.token}":
            return Response(status_code=401)
        if emulator.old and b"server/discover" in body:
            return JSONResponse(
                {
                    "jsonrpc": "2.0",
                    "id": json.loads(body)["id"],
                    "error": {"code": -32601, "message": "Method not found"},
                }
            )
        return None


class _Announced(uvicorn.Server):
    """Says when it listens, and leaves signals alone."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
