"""What Slack serves beside the Web API: downloads of files, and the response URLs of interactions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web

from tests.emulators.slack.calls import Call, content_of
from tests.emulators.slack.event_feed import EventFeed
from tests.emulators.slack.refusals import Refused
from tests.emulators.slack.views import Views
from tests.emulators.slack.web_api import Credentials
from tests.emulators.slack.workspace import Channel, Message, User, Workspace


@dataclass(frozen=True, slots=True)
class SideDoors:
    """`violate` records a rule the app broke."""

    workspace: Workspace
    feed: EventFeed
    views: Views
    credentials: Credentials
    violate: Callable[[str], None]

    async def download(self, request: web.Request) -> web.Response:
        """A file's content; without a token that may read files the sign-in page, with status 200."""
        file = self.workspace.files.get(request.match_info["id"])
        authorized = request.headers.get("Authorization") == f"Bearer {self.credentials.bot_token}"
        if not authorized or "files:read" not in self.credentials.bot_scopes:
            self.violate(f"download of {request.path} without a token that may read files")
            return web.Response(text="<html>Sign in to Slack</html>", content_type="text/html")
        if file is None:
            return web.Response(status=404)
        return web.Response(body=file.content, content_type=file.mimetype)

    async def respond(self, request: web.Request) -> web.Response:
        """An answer to an interaction: replaces or deletes the message, or adds one."""
        ticket = self.workspace.response_tickets.get(request.match_info["ticket"])
        if ticket is None:
            return web.Response(status=404, text="expired_url")
        user, channel, message = ticket
        call = Call(
            "response_url",
            await request.json(),
            self.workspace,
            self.feed,
            self.views,
            self.violate,
            self.credentials.bot_scopes,
        )
        try:
            self._write(call, user, channel, message)
        except Refused as refusal:
            self.violate(f"response_url: {refusal}")
            return web.Response(status=400, text=refusal.error)
        self.workspace.watch.changed()
        return web.Response(text="ok")

    def _write(self, call: Call, user: User, channel: Channel, message: Message | None) -> None:
        if call.args.get("delete_original") and message is not None:
            message.deleted = True
            return
        content = content_of(call)
        if call.args.get("replace_original") and message is not None:
            message.revisions.append(message.shown)
            message.text, message.blocks = content.text, content.blocks
            return
        private = call.args.get("response_type", "ephemeral") == "ephemeral"
        self.workspace.post(
            channel,
            self.workspace.bot,
            content.text,
            blocks=content.blocks,
            thread_ts=message.thread_ts if message else None,
            ephemeral_for=user.id if private else None,
        )
