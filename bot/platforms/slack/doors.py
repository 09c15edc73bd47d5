"""The two ways in from Slack: Socket Mode, and signed requests over HTTP. Both end in the same listeners.

A delivery is acknowledged after its command is on record, so one that we did not live to record comes again.
One that is for another workspace than ours is acknowledged and dropped: Slack would only send it again.
"""

from __future__ import annotations

import html
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import structlog
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.adapter.starlette.async_handler import to_async_bolt_request, to_starlette_response
from slack_bolt.async_app import AsyncAck, AsyncApp
from slack_bolt.response import BoltResponse
from slack_sdk.signature import SignatureVerifier
from slack_sdk.web.async_client import AsyncWebClient
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bot.messages import Choice
from bot.platforms.protocol import Inbox
from bot.platforms.slack.addressees import workspaces_named
from bot.platforms.slack.api import Json, SlackApi
from bot.platforms.slack.blocks import ACTION_PREFIX, options
from bot.platforms.slack.needs import SHORTCUTS
from bot.platforms.slack.reading import SlackReader
from bot.platforms.slack.surfaces import SlackSurfaces
from bot.platforms.slack.unfurling import Unfurling
from bot.repository_search import search

MOST_BODY_BYTES = 1_000_000

_log = structlog.get_logger(__name__)

_OURS = re.compile(rf"^{ACTION_PREFIX}:")


class SlackDoors:
    """Takes what Slack sends once it is open. `http` is an ASGI application with both of Slack's paths."""

    def __init__(
        self,
        client: AsyncWebClient,
        api: SlackApi,
        signing_secrets: tuple[str, ...],
        repositories: Sequence[Choice],
        unfurling: Unfurling | None = None,
    ) -> None:
        self._verifiers = tuple(SignatureVerifier(secret) for secret in signing_secrets if secret)
        self._repositories = repositories
        self._unfurling = unfurling
        self._inbox: Inbox | None = None
        self._reader: SlackReader | None = None
        self._strangers: set[frozenset[str]] = set()
        self._client = client
        self._surfaces = SlackSurfaces(api, self._opened)
        self._app = self._listen(client)
        routes = [
            Route("/slack/events", self._request, methods=["POST"]),
            Route("/slack/interactive", self._request, methods=["POST"]),
        ]
        self.http = Starlette(routes=routes)

    def open(self, inbox: Inbox, reader: SlackReader) -> None:
        """From now on everything goes to `inbox`."""
        self._inbox, self._reader = inbox, reader

    def close(self) -> None:
        """From now on Slack is told to come again later."""
        self._inbox = self._reader = None

    @asynccontextmanager
    async def socket(self, app_token: str) -> AsyncIterator[None]:
        """A Socket Mode connection, kept up until the block ends."""
        handler = AsyncSocketModeHandler(self._app, app_token, web_client=self._client)
        try:
            await handler.connect_async()  # type: ignore[no-untyped-call]
            yield
        finally:
            await handler.close_async()  # type: ignore[no-untyped-call]

    def _listen(self, client: AsyncWebClient) -> AsyncApp:
        # Signatures are checked before a request gets here, against every secret that is valid now.
        app = AsyncApp(
            client=client,
            name="bellhop",
            process_before_response=True,
            request_verification_enabled=False,
            signing_secret="",
        )
        app.middleware(self._for_us)
        app.event("app_mention")(self._on_message)
        app.event("message")(self._on_message)
        app.event("reaction_added")(self._on_reaction)
        app.event("reaction_removed")(self._on_reaction)
        app.event("app_home_opened")(self._on_arrival)
        app.event("link_shared")(self._on_links)
        app.event("agent_session_stopped")(self._on_stop)
        self._surfaces.listen(app)
        app.action({"type": "block_actions", "action_id": _OURS})(self._on_action)
        app.options({"action_id": _OURS})(self._on_options)
        for callback in SHORTCUTS:
            app.shortcut({"type": "message_action", "callback_id": callback})(self._on_shortcut)
        return app

    async def _request(self, request: Request) -> Response:
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > MOST_BODY_BYTES:
                return Response("too large", status_code=413)
        if not self._is_signed(body, request):
            return Response("not signed by Slack", status_code=401)
        if self._inbox is None:
            return Response("not ready", status_code=503, headers={"Retry-After": "5"})
        return to_starlette_response(await self._app.async_dispatch(to_async_bolt_request(request, body)))

    def _is_signed(self, body: bytes, request: Request) -> bool:
        headers = dict(request.headers.items())
        try:
            return any(verifier.is_valid_request(body, headers) for verifier in self._verifiers)
        except ValueError:
            # The time or the body is not what Slack would send: no number, no text.
            return False

    async def _for_us(
        self, body: dict[str, Any], next_: Callable[[], Awaitable[BoltResponse]]
    ) -> BoltResponse:
        """Lets through what is for the workspace of our token; says once whose the rest is."""
        _, reader = self._opened()
        named = workspaces_named(body)
        if reader.workspace in named:
            return await next_()
        if named not in self._strangers:
            self._strangers.add(named)
            _log.warning("slack.other_workspace", ours=reader.workspace, named=sorted(named))
        return BoltResponse(status=200)

    async def _on_message(self, body: dict[str, Any], event: dict[str, Any]) -> None:
        inbox, reader = self._opened()
        if not reader.addresses_us(event) and not await _is_for(inbox, reader, event):
            return
        message = await reader.message(event, str(body["event_id"]))
        if message is not None:
            await inbox.on_message(message)

    async def _on_reaction(self, body: dict[str, Any], event: dict[str, Any]) -> None:
        inbox, reader = self._opened()
        reaction = await reader.reaction(event, str(body["event_id"]))
        if reaction is not None:
            await inbox.on_reaction(reaction)

    async def _on_arrival(self, event: dict[str, Any]) -> None:
        inbox, reader = self._opened()
        arrived = await reader.arrived(event)
        await inbox.on_arrival(arrived)
        if event.get("tab") == "home":
            await self._surfaces.show_home(arrived)

    async def _on_links(self, body: dict[str, Any], event: dict[str, Any]) -> None:
        _, reader = self._opened()
        # Nothing for other organisations that read along, nor from guests, who could not open the page.
        if self._unfurling is None or body.get("is_ext_shared_channel"):
            return
        if not (await reader.arrived(event)).guest:
            await self._unfurling.show(event, reader.where(event))

    async def _on_stop(self, body: dict[str, Any], event: dict[str, Any]) -> None:
        inbox, reader = self._opened()
        await inbox.on_reaction(await reader.stop(event, str(body["event_id"])))

    async def _on_shortcut(self, ack: AsyncAck, body: dict[str, Any]) -> None:
        inbox, reader = self._opened()
        await inbox.on_reaction(await reader.shortcut(body))
        await ack()

    async def _on_action(self, ack: AsyncAck, body: dict[str, Any]) -> None:
        inbox, reader = self._opened()
        press = await reader.press(body)
        if press is not None:
            await inbox.on_press(press)
        await ack()

    async def _on_options(self, ack: AsyncAck, body: dict[str, Any]) -> None:
        found = search(self._repositories, str(body.get("value") or ""))
        await ack(options=options(found))

    def _opened(self) -> tuple[Inbox, SlackReader]:
        if self._inbox is None or self._reader is None:
            raise RuntimeError("a delivery came before the platform was running")
        return self._inbox, self._reader


async def _is_for(inbox: Inbox, reader: SlackReader, event: Json) -> bool:
    """Whether a message that is not said to us may be for us: in a session's thread, or by a watched word."""
    if reader.may_concern(event):
        return await inbox.knows(reader.place(event))
    spoken = bool(event.get("user")) and not event.get("bot_id") and bool(event.get("text"))
    return spoken and await inbox.watches(reader.place(event), html.unescape(str(event["text"])))
