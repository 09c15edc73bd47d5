"""One conversation with a tool server: connect, see its tools, call one, hang up."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import anyio
import httpx2
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client
from mcp_types import CallToolRequest, CallToolRequestParams, CallToolResult, Implementation, Tool
from pydantic import ValidationError

from sandbox.agent.json_value import JsonValue
from sandbox.broker.door.addresses import Network, Resolver, resolve
from sandbox.broker.mcp_transport import (
    CONNECT_SECONDS,
    MAX_RESPONSE_BYTES,
    AddressRefused,
    AnswerRefused,
    PinnedTransport,
    address_of,
    hide,
)

T = TypeVar("T")
MAX_PAGES = 20
NAMED = Implementation(name="bellhop", version="1")


class McpUnavailable(Exception):
    """The tool server cannot be used now; the message says why, and can be shown to people."""


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds for a list of tools, and for a call with all that comes before it."""

    list_seconds: float = 30.0
    call_seconds: float = 120.0


@dataclass(frozen=True, slots=True)
class Ways:
    """How tool servers are reached. `networks` are allowed although they are not public; `tls` None: as the
    system has it."""

    networks: Sequence[Network]
    resolver: Resolver = resolve
    tls: ssl.SSLContext | None = None
    times: Times = Times()


@dataclass(frozen=True, slots=True)
class McpEndpoint:
    """A server: its name, where it is, the headers that carry its credential, and what must not come back."""

    name: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)

    def hide(self, text: str) -> str:
        """The text without the credential."""
        return hide(text, self.secrets)


class Conversation:
    """A connected server."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def tools(self) -> list[Tool]:
        """All that it lists. Raises: MCPError, ValidationError."""
        found: list[Tool] = []
        cursor: str | None = None
        for _ in range(MAX_PAGES):
            page = await self._client.list_tools(cursor=cursor, cache_mode="bypass")
            found += page.tools
            cursor = page.next_cursor
            if cursor is None:
                break
        return found

    async def call(self, tool: str, arguments: Mapping[str, JsonValue]) -> CallToolResult:
        """What the tool answers. Raises: MCPError, ValidationError."""
        # Not `client.call_tool`: that checks the answer against a schema of the server's own making, whose
        # patterns could keep the broker busy for ever.
        params = CallToolRequestParams(name=tool, arguments=dict(arguments))
        return await self._client.session.send_request(CallToolRequest(params=params), CallToolResult)


async def converse(
    endpoint: McpEndpoint, ways: Ways, seconds: float, work: Callable[[Conversation], Awaitable[T]]
) -> T:
    """What `work` made of the conversation; what it raises passes through.

    Raises: McpUnavailable.
    """
    outcome: list[T] = []
    transport: PinnedTransport | None = None
    try:
        url = httpx2.URL(endpoint.url)
        with anyio.fail_after(seconds):
            with anyio.fail_after(CONNECT_SECONDS):
                address = await address_of(url, ways.networks, ways.resolver)
            transport = PinnedTransport(url, address, endpoint.secrets, ways.tls)
            async with _http(endpoint, transport, seconds) as http:
                streams = streamable_http_client(
                    endpoint.url, http_client=http, max_sse_event_size=MAX_RESPONSE_BYTES
                )
                async with Client(streams, mode="auto", cache=None, client_info=NAMED) as client:
                    outcome.append(await work(Conversation(client)))
    except ExceptionGroup as group:
        if not outcome:
            raise _told(endpoint, transport, _first(group), seconds) from group
    except (AddressRefused, OSError, MCPError, ValidationError, RuntimeError, httpx2.InvalidURL) as error:
        if not outcome:
            raise _told(endpoint, transport, error, seconds) from None
    return outcome[0]


def _http(endpoint: McpEndpoint, transport: PinnedTransport, seconds: float) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(
        transport=transport,
        headers={**endpoint.headers, "Accept-Encoding": "identity"},
        timeout=httpx2.Timeout(seconds, connect=CONNECT_SECONDS),
        trust_env=False,
    )


def _first(group: ExceptionGroup[Exception]) -> Exception:
    """The error itself: the client's task groups wrap whatever is raised inside of them."""
    error = group.exceptions[0]
    return _first(error) if isinstance(error, ExceptionGroup) else error


def _told(
    endpoint: McpEndpoint, transport: PinnedTransport | None, error: Exception, seconds: float
) -> Exception:
    """The error in a sentence, where it is the server's; else the error."""
    status = transport.status if transport else 0
    match error:
        case AddressRefused() | httpx2.InvalidURL():
            why = str(error)
        case TimeoutError() | httpx2.TimeoutException():
            why = f"it did not answer within {seconds:.0f} seconds"
        case AnswerRefused():
            why = str(error)
        case httpx2.ConnectError() if "CERTIFICATE_VERIFY_FAILED" in str(error):
            why = "its certificate is not trusted, or not for this name"
        case httpx2.ConnectError() | OSError():
            why = "it cannot be reached"
        case httpx2.HTTPError():
            # Not the error's own text, which may repeat what the server sent: the model reads this sentence.
            why = f"the connection broke ({type(error).__name__})"
        case MCPError() | ValidationError() | RuntimeError() if status in (401, 403):
            why = f"it answered {status}: look whether its credential is set and still good"
        case MCPError() | ValidationError() | RuntimeError() if status >= 300:
            why = f"it answered {status}"
        case MCPError() | ValidationError() | RuntimeError():
            why = "what it answered cannot be read as the Model Context Protocol"
        case _:
            return error
    return McpUnavailable(f"The tool server {endpoint.name} cannot be used now: {why}.")
