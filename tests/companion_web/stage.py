"""The web application over a real database, served to browsers when asked for."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import uvicorn
from starlette.applications import Starlette

from bot.platforms.slack.needs import scopes
from companion_web.app import create_app
from companion_web.governance import Governance
from companion_web.sign_in import one_time_link
from companion_web.slack_workspaces import SlackParts
from session.artifacts import Artifacts
from session.broker_slack import SlackTokens
from session.catalogue import Catalogue, Repository
from session.commands import Commands
from session.customs import Customs
from session.database import Database
from session.directory import Directory
from session.events import Event
from session.halt import KillSwitch
from session.image_builds import ImageBuilds
from session.image_requests import ImageRequests
from session.leases import Leases
from session.log import Log
from session.people import Identity, Person, Role
from session.pulse import Pulse
from session.queue import Queue
from session.settings import Settings
from session.slack_installations import SlackInstallations
from session.standstill import Standstill
from session.warming import Warming
from tests.companion_web.broker_side import BrokerSide, broker_side
from tests.provision.databases import tables_at

CATALOGUE = Catalogue(
    Repository(slug=slug, forge="local", url=f"/srv/{slug}.git")
    for slug in ("acme/billing", "acme/web", "acme/infrastructure")
)


NO_REDIS = "redis://127.0.0.1:1/0"


@dataclass
class Stage:
    """Everything a test needs; `url` answers only inside `serve`."""

    settings: Settings
    log: Log
    pulse: Pulse
    commands: Commands
    directory: Directory
    artifacts: Artifacts
    broker: BrokerSide
    governance: Governance
    images: ImageRequests
    warming: Warming
    customs: Customs
    slack: SlackParts
    app: Starlette
    listener: socket.socket
    health: dict[str, str | None]

    @property
    def url(self) -> str:
        """Where the pages are."""
        return self.settings.page_address

    async def person(self, name: str, role: Role = "approver") -> Person:
        """Somebody known here."""
        identity = Identity(platform="console", workspace="", account=name.lower(), name=name)
        person = await self.directory.resolve(identity)
        await self.directory.set_role(person.id, role)
        return person

    async def session(self, session_id: str, events: Sequence[Event]) -> None:
        """A session with that log."""
        await self.log.create(session_id, list(events))

    async def append(self, session_id: str, *events: Event) -> int:
        """The events at the end of the session's log; the new last sequence."""
        view = await self.log.record(session_id, lambda _: list(events))
        return view.seq

    @asynccontextmanager
    async def client(self, person: Person | None) -> AsyncIterator[Browserlike]:
        """An HTTP client that talks to the application, signed in as that person."""
        transport = httpx.ASGITransport(app=self.app)
        async with httpx.AsyncClient(transport=transport, base_url=self.url) as http:
            client = Browserlike(http, self.url)
            if person is not None:
                await client.sign_in(await one_time_link(self.directory, self.url, person))
            yield client

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[str]:
        """A real web server for the application, at the URL it gives."""
        config = uvicorn.Config(self.app, log_level="warning", lifespan="off", access_log=False)
        server = AnnouncedServer(config)
        self.listener.listen(2048)
        running = asyncio.create_task(server.serve(sockets=[self.listener]))
        try:
            async with asyncio.timeout(60):
                await server.ready.wait()
            yield self.url
        finally:
            server.should_exit = True
            server.force_exit = True
            await running


class AnnouncedServer(uvicorn.Server):
    """A web server that says when it takes connections."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then say so."""
        await super().startup(sockets)
        self.ready.set()


class Browserlike:
    """Posts forms as a browser does from one of our pages: with origin and the page's CSRF token."""

    def __init__(self, http: httpx.AsyncClient, url: str) -> None:
        self.http = http
        self._origin = {"Origin": url, "Sec-Fetch-Site": "same-origin"}

    async def sign_in(self, link: str) -> None:
        """Press the button behind a one-time link."""
        ticket = httpx.URL(link).params["ticket"]
        answer = await self.http.post("/sign-in/link", data={"ticket": ticket}, headers=self._origin)
        assert answer.status_code == 303, answer.text

    async def get(self, path: str) -> httpx.Response:
        """A page."""
        return await self.http.get(path)

    async def csrf(self, page: str = "/") -> str:
        """The token in that page's forms."""
        found = re.search(r'name="csrf" value="([^"]+)"', (await self.http.get(page)).text)
        assert found, "the page has no form"
        return found[1]

    async def post(self, path: str, page: str = "/", **fields: str) -> httpx.Response:
        """A form sent from a page."""
        data = {"csrf": await self.csrf(page), **fields}
        return await self.http.post(path, data=data, headers=self._origin)


@asynccontextmanager
async def stage(directory: Path, env: dict[str, str] | None = None) -> AsyncIterator[Stage]:
    """The application over a new SQLite file in that directory."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        settings = Settings.load(
            {
                "BELLHOP_HOME": str(directory),
                "SECRET_KEY": "a key for tests that nobody else uses",
                "PUBLIC_URL": f"http://127.0.0.1:{listener.getsockname()[1]}",
                "GITHUB_WEBHOOK_SECRET": "old-secret,new-secret",
                **(env or {}),
            }
        )
        async with (
            await Database.open(await tables_at(settings.database_address)) as database,
            Pulse(None) as pulse,
            Queue(settings.redis_url or NO_REDIS) as queue,
            broker_side(settings, database, Directory(database)) as broker,
        ):
            yield _assemble(settings, database, pulse, queue, listener, broker)


def _assemble(
    settings: Settings,
    database: Database,
    pulse: Pulse,
    queue: Queue,
    listener: socket.socket,
    broker: BrokerSide,
) -> Stage:
    log = Log(database, pulse)
    directory = Directory(database)
    artifacts = Artifacts(database)
    customs = Customs.over(database, directory, CATALOGUE, broker.audit, settings.models)
    commands = Commands(log, queue, directory, Leases(database), CATALOGUE, customs.people)
    standstill = Standstill(database, broker.audit, commands, "web")
    governance = Governance.over(broker.way, KillSwitch(database), broker.audit, standstill)
    health: dict[str, str | None] = {"database": None, "redis": None, "engine": None}

    async def check() -> dict[str, str | None]:
        return health

    images = ImageRequests(ImageBuilds(database), queue)
    warming = Warming(log, directory, CATALOGUE, queue)
    slack = SlackParts(SlackInstallations(database), SlackTokens(broker.way), scopes())
    app = create_app(
        settings,
        log,
        commands,
        directory,
        artifacts,
        pulse,
        CATALOGUE,
        governance,
        check,
        images=images,
        warming=warming,
        customs=customs,
        slack=slack,
    )
    return Stage(
        settings,
        log,
        pulse,
        commands,
        directory,
        artifacts,
        broker,
        governance,
        images,
        warming,
        customs,
        slack,
        app,
        listener,
        health,
    )
