"""The two ways in from Slack: Socket Mode, and signed requests over HTTP. Both bring the same deliveries.

They are the app's, not a workspace's: what comes in is for any of the workspaces in which it is installed.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from slack_bolt.adapter.socket_mode.async_internals import send_async_response
from slack_bolt.adapter.starlette.async_handler import to_async_bolt_request, to_starlette_response
from slack_bolt.request.async_request import AsyncBoltRequest
from slack_bolt.response import BoltResponse
from slack_sdk.signature import SignatureVerifier
from slack_sdk.socket_mode.aiohttp import SocketModeClient
from slack_sdk.socket_mode.async_client import AsyncBaseSocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bot.platforms.slack.api import web_client

MOST_BODY_BYTES = 1_000_000

Deliver = Callable[[AsyncBoltRequest], Awaitable[BoltResponse]]


@dataclass(frozen=True, slots=True)
class SlackApp:
    """The app, as Slack reaches it from all workspaces.

    `signing_secrets`: all that are valid now, for requests over HTTP (two while one is replaced).
    `app_token`: opens Socket Mode; None waits for HTTP requests instead.
    """

    app_token: str | None = field(default=None, repr=False)
    signing_secrets: tuple[str, ...] = field(default=(), repr=False)
    api_url: str = "https://slack.com/api/"


class SlackDoors:
    """Hands what Slack sends to `deliver`, which says what to answer; any status but 200 makes it come again.

    `http` is an ASGI application with both of Slack's paths.
    """

    def __init__(self, app: SlackApp, deliver: Deliver) -> None:
        self._app = app
        self._deliver = deliver
        self._verifiers = tuple(SignatureVerifier(secret) for secret in app.signing_secrets if secret)
        routes = [
            Route("/slack/events", self._request, methods=["POST"]),
            Route("/slack/interactive", self._request, methods=["POST"]),
        ]
        self.http = Starlette(routes=routes)

    @asynccontextmanager
    async def socket(self) -> AsyncIterator[None]:
        """A Socket Mode connection, kept up until the block ends; none where the app has no token for one."""
        if not self._app.app_token:
            yield
            return
        client = SocketModeClient(self._app.app_token, web_client=web_client("", self._app.api_url))
        client.socket_mode_request_listeners.append(self._envelope)
        try:
            await client.connect()  # type: ignore[no-untyped-call]
            yield
        finally:
            await client.close()  # type: ignore[no-untyped-call]

    async def _envelope(self, client: AsyncBaseSocketModeClient, envelope: SocketModeRequest) -> None:
        start = time.time()
        answer = await self._deliver(AsyncBoltRequest(mode="socket_mode", body=envelope.payload))
        await send_async_response(client, envelope, answer, start)

    async def _request(self, request: Request) -> Response:
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > MOST_BODY_BYTES:
                return Response("too large", status_code=413)
        if not self._is_signed(body, request):
            return Response("not signed by Slack", status_code=401)
        return to_starlette_response(await self._deliver(to_async_bolt_request(request, body)))

    def _is_signed(self, body: bytes, request: Request) -> bool:
        headers = dict(request.headers.items())
        try:
            return any(verifier.is_valid_request(body, headers) for verifier in self._verifiers)
        except ValueError:
            # The time or the body is not what Slack would send: no number, no text.
            return False
