"""A bot on the emulated Slack: by Socket Mode, or by signed HTTP through a real web server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

import uvicorn
from starlette.types import ASGIApp

from bot.platforms.slack.platform import SlackAccount, SlackPlatform
from bot.previews import SessionPreviews
from tests.bot.rooms import CHOICES, PUBLIC_URL, Rooms
from tests.emulators.slack.emulator import SlackEmulator

Way = Literal["socket", "http"]


def slack_platform(
    slack: SlackEmulator, way: Way = "socket", previews: SessionPreviews | None = None
) -> SlackPlatform:
    """The platform as an installation of the emulated workspace knows it; posts are not paced."""
    account = SlackAccount(
        bot_token=slack.bot_token,
        app_token=slack.app_token if way == "socket" else None,
        signing_secrets=("the one before", slack.signing_secret),
        api_url=slack.api_url,
    )
    return SlackPlatform(account, CHOICES, previews=previews, post_interval_seconds=0.0)


@asynccontextmanager
async def bot_on(
    slack: SlackEmulator,
    rooms: Rooms,
    way: Way = "socket",
    *,
    platform: SlackPlatform | None = None,
    interval_seconds: float = 0.0,
) -> AsyncIterator[SlackPlatform]:
    """The bot, connected and taking events, until the block ends."""
    platform = platform or slack_platform(slack, way, SessionPreviews(rooms.log, PUBLIC_URL))
    async with rooms.serving(platform, interval_seconds=interval_seconds):
        await asyncio.wait_for(platform.ready(), 10)
        if way == "socket":
            await slack.wait_for_connection()
            yield platform
        else:
            async with web_server(platform.http) as url:
                await slack.use_http(f"{url}/slack/events", f"{url}/slack/interactive")
                yield platform
                # The server is not to go while an event is on its way to it.
                slack.deliveries.hold()
                await slack.wait_for_delivery()


@asynccontextmanager
async def web_server(app: ASGIApp) -> AsyncIterator[str]:
    """The address of a server on loopback that serves `app`."""
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning", lifespan="off", ws="none")
    server = uvicorn.Server(config)
    sockets = [config.bind_socket()]
    sockets[0].listen()
    port = sockets[0].getsockname()[1]
    task = asyncio.create_task(server.serve(sockets))
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await task
