"""A door with everything around it: a record, a policy, a server outside, a client that stands in the box."""

from __future__ import annotations

import shutil
import ssl
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import httpx

from sandbox.broker.door.doors import Doors
from sandbox.broker.door.handlers import GitHandler
from sandbox.broker.door.parts import DoorParts, Spend
from session import events as e
from session.audit import Audit, Audited, read_row
from session.catalogue import Approvals, Catalogue, Repository
from session.database import Database
from session.halt import KillSwitch
from session.log import Log
from session.people import Origin, Person, Prompt
from session.policy import EgressEntry, EgressRule, policy_version
from session.pulse import Pulse
from tests.provision.databases import tables_at
from tests.provision.places import temporary_home
from tests.sandbox.door.relay import relay
from tests.sandbox.door.upstream import Upstream, upstream

SESSION = "s1"
BOX = "bellhop-s1"
HOST = "api.example.com"
ADA = Person(id="p_ada", name="Ada")
LOOPBACK = (ip_network("127.0.0.0/8"),)
Egress = Callable[[int], Sequence[EgressEntry]]


@dataclass(slots=True)
class MemorySecrets:
    """A vault without its locks."""

    values: dict[str, str] = field(default_factory=dict)

    async def get(self, name: str) -> str | None:
        return self.values.get(name)


@dataclass(slots=True)
class Stage:
    """Everything of one test. `proxy` is where the box finds its way out."""

    home: Path
    doors: Doors
    parts: DoorParts
    database: Database
    log: Log
    switch: KillSwitch
    upstream: Upstream
    repository: Repository
    directory: Path
    proxy_port: int
    resolved: list[str]

    @property
    def trust(self) -> ssl.SSLContext:
        """What the box trusts: the authority of its session and nobody else."""
        return ssl.create_default_context(cafile=str(self.directory / "authority.pem"))

    def client(self, **more: Any) -> httpx.AsyncClient:
        """A client in the box."""
        return httpx.AsyncClient(
            proxy=f"http://127.0.0.1:{self.proxy_port}",
            verify=self.trust,
            trust_env=False,
            timeout=60,
            # What is asked of connections that last holds however long it takes between two requests.
            limits=httpx.Limits(keepalive_expiry=60),
            **more,
        )

    def url(self, path: str = "/", host: str = HOST, scheme: str = "https") -> str:
        """An address on the server outside."""
        return f"{scheme}://{host}:{self.upstream.port}{path}"

    async def ask(self, method: str = "GET", path: str = "/", **more: Any) -> httpx.Response:
        """The answer to one request from the box."""
        host, scheme = more.pop("host", HOST), more.pop("scheme", "https")
        async with self.client() as client:
            return await client.request(method, self.url(path, host, scheme), **more)

    async def allow(self, subject: str, *, decided: bool = True, version: str | None = None) -> None:
        """A person allows the subject, or is only asked about it."""
        approval_id = f"a{(await self.log.view(SESSION)).seq}"
        asked = e.ApprovalRequested(
            approval_id=approval_id,
            kind="egress",
            title="Reach it?",
            detail="",
            digest="d",
            policy_version=version or policy_version(self.repository),
            expires_at=await self.log.clock() + timedelta(minutes=30),
            blocking=False,
            subject=subject,
        )
        await self.log.record(SESSION, lambda _: [asked])
        if decided:
            given = e.ApprovalGiven(approval_id=approval_id, digest="d", by=ADA)
            await self.log.record(SESSION, lambda _: [given])

    async def audited(self) -> list[Audited]:
        """The audit, first row first."""
        return [read_row(row) for row in await self.database.rows("SELECT * FROM audit ORDER BY id")]

    async def read_from(self) -> list[str]:
        """The sources that the log calls untrusted, as often as it says so."""
        records = await self.log.read(SESSION)
        return [record.event.source for record in records if isinstance(record.event, e.UntrustedRead)]


@asynccontextmanager
async def stage(
    egress: Egress = lambda port: [EgressRule(host=HOST, port=port)],
    *,
    package_hosts: Callable[[int], Mapping[str, tuple[str, ...]]] = lambda port: {},
    approvals: Approvals | None = None,
    public: bool = False,
    secrets: Mapping[str, str] | None = None,
    box_secrets: tuple[str, ...] = (),
    addresses: Sequence[str] | Callable[[str], Sequence[str]] = ("127.0.0.1",),
    networks: Sequence[Any] = LOOPBACK,
    git: GitHandler | None = None,
    spend: Spend | None = None,
    url: str = "/srv/billing.git",
    tls: bool = True,
    idle_seconds: float = 60.0,
    queue_seconds: float = 60.0,
) -> AsyncIterator[Stage]:
    """A stage with one box. `egress` and `package_hosts` are given the port of the server outside,
    `addresses` the name that is looked up."""
    home = temporary_home()
    async with AsyncExitStack() as stack:
        stack.callback(shutil.rmtree, home, ignore_errors=True)
        outside = await stack.enter_async_context(upstream(tls=tls))
        repository = Repository(
            slug="acme/billing",
            forge="local",
            url=url,
            egress=tuple(egress(outside.port)),
            approvals=approvals or Approvals(),
            public=public,
            secrets=box_secrets,
        )
        url = await tables_at(f"sqlite://{home / 'bellhop.db'}")
        database = await stack.enter_async_context(await Database.open(url))
        log = Log(database, await stack.enter_async_context(Pulse(None)))
        await _opened(log, repository)
        resolved: list[str] = []

        async def resolver(host: str, port: int) -> Sequence[str]:
            resolved.append(host)
            return addresses(host) if callable(addresses) else addresses

        switch = KillSwitch(database)
        parts = DoorParts(
            log=log,
            catalogue=Catalogue([repository]),
            audit=Audit(database),
            switch=switch,
            secrets=MemorySecrets(dict(secrets or {})),
            networks=networks,
            git=git,
            spend=spend,
            ssl_context=outside.trusted,
            resolver=resolver,
            idle_seconds=idle_seconds,
            connect_seconds=60.0,
            queue_seconds=queue_seconds,
        )
        doors = Doors(home / "doors", parts)
        stack.push_async_callback(doors.aclose)
        directory = await doors.open(SESSION, BOX, package_hosts(outside.port))
        port = await stack.enter_async_context(relay(directory / "door.sock"))
        yield Stage(
            home=home,
            doors=doors,
            parts=parts,
            database=database,
            log=log,
            switch=switch,
            upstream=outside,
            repository=repository,
            directory=directory,
            proxy_port=port,
            resolved=resolved,
        )


async def _opened(log: Log, repository: Repository) -> None:
    prompt = Prompt(id=f"{SESSION}-1", text="Fix it", author=ADA)
    chosen = e.RepositoryChosen(slug=repository.slug, branch="main", how="named", reason="it was named")
    await log.create(
        SESSION,
        [
            e.SessionOpened(title="Fix it", origin=Origin(platform="web"), requester=ADA),
            e.PromptQueued(prompt=prompt),
            chosen,
        ],
    )
