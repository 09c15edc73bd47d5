"""A bot on the emulated Slack: by Socket Mode, or by signed HTTP through a real web server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Literal

import uvicorn
from starlette.types import ASGIApp

from bot.messages import Choice
from bot.platforms.slack.doors import SlackApp
from bot.platforms.slack.installations import Installations, OwnToken
from bot.platforms.slack.workspaces import SlackWorkspaces
from bot.previews import SessionPreviews
from tests.bot.rooms import CHOICES, PUBLIC_URL, Rooms
from tests.emulators.slack.emulator import SlackEmulator

LOOK_SECONDS = 0.05
"""How often it is looked which workspaces are wanted."""

Way = Literal["socket", "http"]


def slack_platform(
    slack: SlackEmulator,
    way: Way = "socket",
    previews: SessionPreviews | None = None,
    *,
    installations: Installations | None = None,
    repositories: Sequence[Choice] = CHOICES,
    paced: bool = False,
    now: Callable[[], float] = time.monotonic,
) -> SlackWorkspaces:
    """The platform as an app of the emulated Slack knows it.

    `installations` None: in the emulated workspace alone, by its token.
    """
    app = SlackApp(
        app_token=slack.app_token if way == "socket" else None,
        signing_secrets=("the one before", slack.signing_secret),
        api_url=slack.api_url,
    )
    return SlackWorkspaces(
        app,
        installations or OwnToken(slack.bot_token),
        repositories,
        previews=previews,
        paced=paced,
        look_seconds=LOOK_SECONDS,
        now=now,
    )


@asynccontextmanager
async def bot_on(
    slack: SlackEmulator,
    rooms: Rooms,
    way: Way = "socket",
    *,
    platform: SlackWorkspaces | None = None,
    interval_seconds: float = 0.0,
) -> AsyncIterator[SlackWorkspaces]:
    """The bot, connected and taking events, until the block ends."""
    platform = platform or slack_platform(slack, way, SessionPreviews(rooms.log, PUBLIC_URL))
    async with rooms.serving(platform, interval_seconds=interval_seconds):
        await asyncio.wait_for(platform.ready(), 60)
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
