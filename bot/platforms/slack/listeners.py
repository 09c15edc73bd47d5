"""What one workspace sends, brought to the inbox: events, presses, choices, commands.

A delivery is answered after its command is on record, so one that we did not live to record comes again.
"""

from __future__ import annotations

import html
import re
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from slack_bolt.async_app import AsyncAck, AsyncApp
from slack_bolt.request.async_request import AsyncBoltRequest
from slack_bolt.response import BoltResponse
from slack_sdk.web.async_client import AsyncWebClient

from bot.messages import Choice
from bot.platforms.protocol import Inbox
from bot.platforms.slack.api import Json, SlackApi
from bot.platforms.slack.blocks import ACTION_PREFIX, options
from bot.platforms.slack.needs import SHORTCUTS
from bot.platforms.slack.reading import SlackReader
from bot.platforms.slack.surfaces import SlackSurfaces
from bot.platforms.slack.unfurling import Unfurling
from bot.repository_search import search

Left = Callable[[str, datetime], Awaitable[None]]
"""Hears that the app was taken away from a workspace, and when; the workspace's id comes first."""

_OURS = re.compile(rf"^{ACTION_PREFIX}:")


class SlackListeners:
    """Takes what the workspace of `reader` sends. `left` is told when the app is taken away there."""

    def __init__(
        self,
        client: AsyncWebClient,
        api: SlackApi,
        inbox: Inbox,
        reader: SlackReader,
        repositories: Sequence[Choice],
        unfurling: Unfurling | None,
        left: Left,
    ) -> None:
        self._inbox = inbox
        self._reader = reader
        self._repositories = repositories
        self._unfurling = unfurling
        self._left = left
        self._surfaces = SlackSurfaces(api, inbox, reader)
        self._app = self._listen(client)

    async def dispatch(self, request: AsyncBoltRequest) -> BoltResponse:
        """What to answer Slack; any status but 200 makes it send the delivery again."""
        return await self._app.async_dispatch(request)

    def _listen(self, client: AsyncWebClient) -> AsyncApp:
        # Signatures are checked before a request gets here, against every secret that is valid now.
        app = AsyncApp(
            client=client,
            name="bellhop",
            process_before_response=True,
            request_verification_enabled=False,
            signing_secret="",
        )
        app.event("app_mention")(self._on_message)
        app.event("message")(self._on_message)
        app.event("reaction_added")(self._on_reaction)
        app.event("reaction_removed")(self._on_reaction)
        app.event("app_home_opened")(self._on_arrival)
        app.event("link_shared")(self._on_links)
        app.event("agent_session_stopped")(self._on_stop)
        app.event("app_uninstalled")(self._on_left)
        app.event("tokens_revoked")(self._on_revoked)
        self._surfaces.listen(app)
        app.action({"type": "block_actions", "action_id": _OURS})(self._on_action)
        app.options({"action_id": _OURS})(self._on_options)
        for callback in SHORTCUTS:
            app.shortcut({"type": "message_action", "callback_id": callback})(self._on_shortcut)
        return app

    async def _on_message(self, body: dict[str, Any], event: dict[str, Any]) -> None:
        if not await is_for(self._inbox, self._reader, event):
            return
        message = await self._reader.message(event, str(body["event_id"]))
        if message is not None:
            await self._inbox.on_message(message)

    async def _on_reaction(self, body: dict[str, Any], event: dict[str, Any]) -> None:
        reaction = await self._reader.reaction(event, str(body["event_id"]))
        if reaction is not None:
            await self._inbox.on_reaction(reaction)

    async def _on_arrival(self, event: dict[str, Any]) -> None:
        arrived = await self._reader.arrived(event)
        await self._inbox.on_arrival(arrived)
        if event.get("tab") == "home":
            await self._surfaces.show_home(arrived)

    async def _on_links(self, body: dict[str, Any], event: dict[str, Any]) -> None:
        # Nothing for other organisations that read along, nor from guests, who could not open the page.
        if self._unfurling is None or body.get("is_ext_shared_channel"):
            return
        if not (await self._reader.arrived(event)).guest:
            await self._unfurling.show(event, self._reader.where(event))

    async def _on_stop(self, body: dict[str, Any], event: dict[str, Any]) -> None:
        await self._inbox.on_reaction(await self._reader.stop(event, str(body["event_id"])))

    async def _on_left(self, body: dict[str, Any]) -> None:
        # In whole seconds, so it may have been up to one later.
        at = datetime.fromtimestamp(float(body["event_time"]) + 1, UTC)
        await self._left(self._reader.workspace, at)

    async def _on_revoked(self, body: dict[str, Any], event: dict[str, Any]) -> None:
        # Tokens of people are none of ours.
        if (event.get("tokens") or {}).get("bot"):
            await self._on_left(body)

    async def _on_shortcut(self, ack: AsyncAck, body: dict[str, Any]) -> None:
        await self._inbox.on_reaction(await self._reader.shortcut(body))
        await ack()

    async def _on_action(self, ack: AsyncAck, body: dict[str, Any]) -> None:
        press = await self._reader.press(body)
        if press is not None:
            await self._inbox.on_press(press)
        await ack()

    async def _on_options(self, ack: AsyncAck, body: dict[str, Any]) -> None:
        found = search(self._repositories, str(body.get("value") or ""))
        await ack(options=options(found))


async def is_for(inbox: Inbox, reader: SlackReader, event: Json) -> bool:
    """Whether a message may be for us: said to us, in a session's thread, or with a watched word."""
    if reader.addresses_us(event):
        return True
    if reader.is_reply(event):
        return await inbox.knows(reader.place(event))
    spoken = bool(event.get("user")) and not event.get("bot_id") and bool(event.get("text"))
    return spoken and await inbox.watches(reader.place(event), html.unescape(str(event["text"])))
