"""The web process's application, put together from its parts."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from companion_web import triggers
from companion_web.account import AccountPage
from companion_web.actions import Actions
from companion_web.admin import AdminPage
from companion_web.api import Api
from companion_web.channels import ChannelsPage
from companion_web.door import Door, problem
from companion_web.forge_links import ForgeLinks
from companion_web.fragments import STATIC, Fragments
from companion_web.governance import Governance
from companion_web.health import Health, HealthCheck
from companion_web.listing import Listing
from companion_web.pages import SessionPages
from companion_web.repositories import RepositoriesPage
from companion_web.rooms import Rooms
from companion_web.security import PAGE_BODY_BYTES, BodyCap, ResponseHeaders
from companion_web.sign_in import SignIn
from companion_web.slack_workspaces import SlackPage, SlackParts
from companion_web.stream import Stream
from companion_web.visitors import Visitors
from session.artifacts import Artifacts
from session.catalogue import Catalogue
from session.commands import Commands
from session.customs import Customs
from session.database import DatabaseDown
from session.directory import Directory
from session.image_requests import ImageRequests
from session.log import Log
from session.pulse import Pulse
from session.settings import Settings
from session.warming import Warming


def create_app(
    settings: Settings,
    log: Log,
    commands: Commands,
    directory: Directory,
    artifacts: Artifacts,
    pulse: Pulse,
    catalogue: Catalogue,
    governance: Governance,
    health: HealthCheck,
    extra_routes: Sequence[BaseRoute] = (),
    *,
    images: ImageRequests,
    warming: Warming,
    customs: Customs,
    slack: SlackParts,
    secret_key: str | None = None,
) -> Starlette:
    """The application.

    governance: the way to the broker, the kill switch, the audit. health: gives each part's state.
    extra_routes: routes that check their senders themselves (chat platforms over HTTP); they come first and
    pass none of the pages' checks.
    images: builds of repository images, and the way to ask for one.
    warming: has a sandbox wait for whoever opens the prompt box.
    customs: what people prefer, and the rules of channels.
    slack: what leads people to Slack and back, to add the app to a workspace.
    secret_key: signs cookies; None means `settings.secret_key`, which then must not be empty.
    Raises: ValueError, when there is no key.
    """
    key = settings.secret_key if secret_key is None else secret_key
    if not key:
        raise ValueError("cookies cannot be signed without a key: set SECRET_KEY or pass secret_key")
    fragments = Fragments(catalogue)
    rooms = Rooms(log, pulse, fragments)
    visitors = Visitors(directory, key, settings.page_address)
    door = Door(visitors, fragments, settings.page_address)
    pages = SessionPages(rooms, log, artifacts, fragments, door)
    listing = Listing(log, fragments, door)
    sign_in = SignIn(settings, key, directory, governance.accounts, visitors, fragments, door)
    guarded: list[BaseRoute] = [
        Route("/", door.page(listing.show), methods=["GET"]),
        Route("/s/{session_id}/events", door.data(Stream(rooms).events), methods=["GET"]),
        *pages.routes(),
        *Actions(commands, catalogue, warming).routes(door, pages.refused, listing.refused),
        *sign_in.routes(),
        *ForgeLinks(log, door).routes(),
        *AccountPage(settings, directory, governance.accounts, customs.people, fragments, door).routes(),
        *AdminPage(governance, directory, fragments, door).routes(),
        *ChannelsPage(customs.channels, fragments, door).routes(),
        *SlackPage(settings, key, slack, directory, fragments, door).routes(),
        *RepositoriesPage(catalogue, images, fragments, door).routes(),
        *Api(log, commands, catalogue, door).routes(),
        Route("/{path:path}", door.page(door.nothing_here), methods=["GET"]),
    ]
    routes: list[BaseRoute] = [
        *extra_routes,
        *triggers.routes(settings, commands),
        Route("/healthz", Health(health).show, methods=["GET"]),
        Mount("/static", KeptStaticFiles(directory=STATIC)),
        Mount("/", routes=guarded, middleware=[Middleware(BodyCap, limit_bytes=PAGE_BODY_BYTES)]),
    ]
    https = settings.page_address.startswith("https://")
    return Starlette(
        routes=routes,
        middleware=[
            Middleware(ResponseHeaders, https=https),
            Middleware(GZipMiddleware, minimum_size=1024, compresslevel=5),
        ],
        exception_handlers={DatabaseDown: _database_down},
    )


async def _database_down(request: Request, error: Exception) -> Response:
    sentence = "Bellhop cannot reach its database at the moment. Nothing is lost; try again in a minute."
    return problem(503, "The database does not answer", sentence)


class KeptStaticFiles(StaticFiles):
    """Static files whose address changes with their content, so browsers may keep them."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """The file."""
        response = await super().get_response(path, scope)
        if response.status_code == 200 and scope["query_string"]:
            response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return response
