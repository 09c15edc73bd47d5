"""The companion pages, and what they need from the other rooms."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager

from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from bot.platforms.slack.needs import scopes
from bot.platforms.slack.workspaces import SlackWorkspaces
from companion_web.app import create_app
from companion_web.governance import Governance
from companion_web.health import HealthCheck
from companion_web.slack_workspaces import SlackParts
from deploy.core import Core
from deploy.secret_key import secret_key
from deploy.web_server import serving
from sandbox.environments.protocol import Environment, EnvironmentUnavailable, SandboxFailed
from session.broker_slack import SlackTokens
from session.database import DatabaseDown
from session.image_builds import ImageBuilds
from session.image_requests import ImageRequests
from session.slack_installations import SlackInstallations
from session.standstill import Standstill

_PATIENCE_SECONDS = 3


def health_check(core: Core, environment: Environment | None) -> HealthCheck:
    """What `/healthz` tells; the engine only where boxes are made in this process."""

    async def check() -> Mapping[str, str | None]:
        database, redis, engine = await asyncio.gather(
            _database(core), core.queue.check(), _engine(environment)
        )
        parts: dict[str, str | None] = {"database": database, "redis": redis}
        return parts if environment is None else {**parts, "engine": engine}

    return check


async def _database(core: Core) -> str | None:
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            await core.database.clock()
    except (DatabaseDown, TimeoutError):
        return "The database does not answer."
    return None


async def _engine(environment: Environment | None) -> str | None:
    if environment is None:
        return None
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            await environment.check()
    except (EnvironmentUnavailable, SandboxFailed, TimeoutError) as error:
        return f"Sandboxes cannot be opened: {error}"
    return None


def web(
    core: Core,
    listener: socket.socket,
    *,
    environment: Environment | None = None,
    slack: SlackWorkspaces | None = None,
) -> AbstractAsyncContextManager[None]:
    """Serves the companion pages on `listener` as long as the context; with `slack`, its HTTP door too.

    Raises: SettingsError, when there is no key for cookies and tokens.
    """
    standstill = Standstill(core.database, core.audit, core.commands, "web")
    app = create_app(
        core.settings,
        core.log,
        core.commands,
        core.directory,
        core.artifacts,
        core.pulse,
        core.catalogue,
        Governance.over(core.broker, core.switch, core.audit, standstill),
        health_check(core, environment),
        _slack_routes(slack),
        images=ImageRequests(ImageBuilds(core.database), core.queue),
        warming=core.warming,
        customs=core.customs,
        slack=SlackParts(SlackInstallations(core.database), SlackTokens(core.broker), scopes()),
        secret_key=secret_key(core.settings),
    )
    return serving(app, listener)


def _slack_routes(slack: SlackWorkspaces | None) -> Sequence[BaseRoute]:
    if slack is None:
        return ()
    paths = ("/slack/events", "/slack/interactive")
    return [Route(path, _Whole(slack.http), methods=["POST"]) for path in paths]


class _Whole:
    """Hands a request on with its path as it is; a class, since Starlette takes functions for endpoints."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)
