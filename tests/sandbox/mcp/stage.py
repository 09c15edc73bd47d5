"""A session whose repository names a tool server, and a broker at a real socket that speaks to it."""

from __future__ import annotations

import shutil
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_network
from uuid import uuid4

from sandbox.broker.door.addresses import Network
from sandbox.broker.mcp_connection import Times, Ways
from sandbox.broker.mcp_gateway import MCP_KINDS, McpGateway, McpParts, mcp_operations
from sandbox.broker.mcp_wire import McpAsked, McpCall, McpResult, McpTool, McpTools
from sandbox.broker.operations import application
from sandbox.broker.socket_server import serving
from sandbox.broker.vault import KeyRing, Vault
from session import events as e
from session.audit import Audit, Audited, read_row
from session.broker import Broker
from session.catalogue import Catalogue, Repository
from session.database import Database
from session.effects import Effects
from session.halt import KillSwitch
from session.log import Log
from session.mcp_pins import McpPins
from session.people import Origin, Person, Prompt
from session.policy import McpServer, SecretUse
from session.pulse import Pulse
from session.secret_rows import SecretRows
from session.view import SessionView
from tests.emulators.mcp.emulator import TOKEN
from tests.provision.databases import tables_at
from tests.provision.places import temporary_home

LOOPBACK = (ip_network("127.0.0.0/8"),)
ADA = Person(id="p_ada", name="Ada")
SECRET = "TRACKER_TOKEN"


async def to_loopback(host: str, port: int) -> Sequence[str]:
    """Every host is on this machine."""
    return ["127.0.0.1"]


def tracker(url: str, *tools: str) -> McpServer:
    """The tool server `tracker` as a catalogue names it."""
    return McpServer(
        name="tracker", url=url, credential=SecretUse(secret=SECRET, header="Authorization"), tools=tools
    )


@dataclass(slots=True)
class Stage:
    """A broker with its gateway, and what tests look into."""

    database: Database
    log: Log
    broker: Broker
    pins: McpPins
    vault: Vault
    switch: KillSwitch
    audit: Audit
    repository: Repository
    sessions: list[str] = field(default_factory=list)

    async def session(self, slug: str = "acme/web") -> str:
        """A session in that repository whose turn runs."""
        session_id = f"s{uuid4().hex[:10]}"
        prompt = Prompt(id=f"{session_id}-1", text="Close the ticket", author=ADA)
        await self.log.create(
            session_id,
            [
                e.SessionOpened(title="Close the ticket", origin=Origin(platform="web"), requester=ADA),
                e.PromptQueued(prompt=prompt),
                e.RepositoryChosen(slug=slug, branch="main", how="named", reason="it was named"),
                e.TurnStarted(turn_id=f"{session_id}-t", prompt_id=prompt.id, model="m", epoch=1),
            ],
        )
        self.sessions.append(session_id)
        return session_id

    async def offered(self, session_id: str) -> McpTools:
        """What the broker says there is."""
        return await self.broker.call("mcp.tools", McpAsked(session_id=session_id), McpTools)

    async def tool(self, session_id: str, name: str) -> McpTool:
        """The tool of that name on its server."""
        return next(tool for tool in (await self.offered(session_id)).tools if tool.tool == name)

    async def call(
        self, session_id: str, name: str, arguments: str = "{}", *, call_id: str | None = None
    ) -> McpResult:
        """What the broker answers to a call."""
        asked = McpCall(
            session_id=session_id, call_id=call_id or uuid4().hex, name=name, arguments_json=arguments
        )
        return await self.broker.call("mcp.call", asked, McpResult)

    async def audited(self) -> list[Audited]:
        """All rows of the audit."""
        return [read_row(row) for row in await self.database.rows("SELECT * FROM audit ORDER BY id")]

    async def record(self, session_id: str, *events: e.Event) -> SessionView:
        """The view after these events."""
        return await self.log.record(session_id, lambda _: events)

    async def everything(self) -> str:
        """All that the database holds, but for the sealed secrets, as text."""
        tables = ("events", "audit", "effects", "mcp_tools", "sessions")
        rows = [await self.database.rows(f"SELECT * FROM {table}") for table in tables]
        return "\n".join(str(dict(row)) for table in rows for row in table)


@asynccontextmanager
async def staged(
    *servers: McpServer,
    networks: Sequence[Network] = LOOPBACK,
    tls: ssl.SSLContext | None = None,
    times: Times | None = None,
    secret: str | None = TOKEN,
    database_url: str = "",
    public: bool = False,
) -> AsyncIterator[Stage]:
    """The stage for a repository `acme/web` with these servers, and a repository `acme/api` with none."""
    home = temporary_home()
    common = {"forge": "local", "url": "/srv/none.git"}
    web = Repository.model_validate({"slug": "acme/web", "mcp": servers, "public": public, **common})
    catalogue = Catalogue([web, Repository.model_validate({"slug": "acme/api", **common})])
    try:
        async with (
            await Database.open(
                await tables_at(database_url or f"sqlite://{home / 'bellhop.db'}")
            ) as database,
            Pulse(None) as pulse,
        ):
            log = Log(database, pulse)
            vault = Vault(SecretRows(database), KeyRing(["k" * 32]))
            if secret is not None:
                await vault.put(SECRET, secret)
            parts = McpParts(
                log=log,
                catalogue=catalogue,
                audit=Audit(database),
                switch=KillSwitch(database),
                pins=McpPins(database),
                effects=Effects(database),
                secrets=vault,
                ways=Ways(networks, resolver=to_loopback, tls=tls, times=times or Times()),
            )
            app = application(mcp_operations(McpGateway(parts)), MCP_KINDS)
            socket = home / "broker.sock"
            async with serving(app, socket, {}), Broker(socket) as broker:
                yield Stage(database, log, broker, parts.pins, vault, parts.switch, parts.audit, web)
    finally:
        shutil.rmtree(home)
