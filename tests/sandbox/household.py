"""A whole worker on one machine for tests: real record, real git, real boxes, a scripted model."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

from sandbox.agent.chat_completions import ChatCompletionsModel, Patience
from sandbox.agent.model_catalogue import ModelCatalogue, ModelSpec
from sandbox.agent.model_gateway import BROKER_MODELS, PLACEHOLDER_KEY, broker_http_client
from sandbox.agent.tools import discover_tools
from sandbox.agent.turn_log import TurnLog
from sandbox.base_commit import read_base
from sandbox.broker.budgets import BudgetDesk, budget_operations
from sandbox.broker.carried_work import CarriedWork
from sandbox.broker.client import KINDS, BrokerForge
from sandbox.broker.desk import DeskParts, ForgeDesk, StorePlaces
from sandbox.broker.door.doors import Doors
from sandbox.broker.door.parts import DoorParts
from sandbox.broker.door_desk import DoorDesk
from sandbox.broker.gateway import ModelGateway, Provider, gateway_routes
from sandbox.broker.git_http import GitDoorParts, GitThroughDoor
from sandbox.broker.mcp_connection import Ways
from sandbox.broker.mcp_gateway import MCP_KINDS, McpGateway, McpParts, mcp_operations
from sandbox.broker.operations import application
from sandbox.broker.quarantine import QuarantineLimits
from sandbox.broker.refused_pushes import RefusedPushes
from sandbox.broker.rights import Accounts, Rights
from sandbox.broker.secret_desk import StoredSecrets
from sandbox.broker.socket_server import serving
from sandbox.broker.vault import KeyRing, Vault
from sandbox.bundles import Bundles
from sandbox.disk_room import DiskLimits
from sandbox.disk_watch import DiskWatch
from sandbox.doors import WorkerDoors
from sandbox.driver import DriverParts, Places, TurnDriver
from sandbox.environments.local_namespace import LocalEnvironment
from sandbox.environments.protocol import PURPOSE_LABEL, Environment
from sandbox.forge.local import LocalForge
from sandbox.forge.protocol import Forge
from sandbox.images.builder import ImageBuilder
from sandbox.images.ready_images import ReadyImages
from sandbox.images.reaping import ImageReaper
from sandbox.images.running_build import BuilderParts
from sandbox.jobs import Jobs, JobTimes
from sandbox.merging import Merger
from sandbox.preference import Preference
from sandbox.reaper import Reaper
from sandbox.session_boxes import SessionBoxes
from sandbox.sharing import Sharing
from sandbox.sign_of_life import SignOfLife
from sandbox.snapshots import SnapshotKeeper
from sandbox.warm_pool.making import WARM, WarmParts
from sandbox.warm_pool.pool import WarmPool
from sandbox.workspace import Workspace
from session import events as e
from session.artifacts import Artifacts
from session.audit import Audit
from session.boxes import Boxes
from session.broker import Broker, model_headers
from session.catalogue import Approvals, Catalogue, Repository
from session.commands import Commands
from session.concurrency import Concurrency
from session.database import Database
from session.directory import Directory
from session.effects import Effects
from session.halt import KillSwitch
from session.hosts import Hosts
from session.image_builds import ImageBuilds
from session.leases import Leases
from session.locks import Locks
from session.log import Log
from session.mcp_pins import McpPins
from session.people import Attachment, Identity, Origin, Person, Prompt, ThreadLine
from session.pulse import Pulse
from session.queue import Queue
from session.saved_work import SavedWork
from session.secret_rows import SecretRows
from session.settings import Settings
from session.snapshots import Snapshots
from session.spending import Spending
from session.view import SessionView
from session.warm_boxes import WarmBoxes
from session.warm_hints import WarmHints
from skills.library import built_in_source
from tests.emulators.model.emulator import ModelEmulator
from tests.provision.databases import tables_at
from tests.provision.places import temporary_home
from tests.sandbox.mcp.stage import LOOPBACK, to_loopback
from tests.sandbox.workbench import Workbench

MODEL = "scripted"
SPEC = ModelSpec(MODEL, 100_000, 8_000, None, vision=False, reasoning=False)
NOBODY = "redis://127.0.0.1:1/0"
"""Where no Redis answers: jobs are run by the test itself."""
LEASE_SECONDS = 120.0
"""Longer than a test may take: what holds a lease without a heartbeat keeps it."""
RUN_SECONDS = 110.0
PATIENCE = Patience(attempts=2, first_delay_seconds=0.01, longest_delay_seconds=0.01)
FILES: dict[str, str | bytes | None] = {
    "README.md": "# Billing\n",
    "billing/invoice.py": "def total(lines):\n    return sum(lines) + 1\n",
    "check.sh": (
        "#!/bin/sh\n"
        'test "$(python3 -c "from billing.invoice import total; print(total([1, 2]))")" = 3 || '
        "{ echo total is wrong; exit 1; }\n"
    ),
}


@dataclass(slots=True)
class Household:
    """One worker with all its parts; `jobs` is what the queue would call."""

    home: Path
    model: ModelEmulator
    database: Database
    pulse: Pulse
    log: Log
    leases: Leases
    commands: Commands
    queue: Queue
    environment: Environment
    forge: Forge
    repository: Repository
    upstream: Workbench
    jobs: Jobs
    parts: DriverParts
    pool: WarmPool
    ada: Person
    grace: Person
    sessions: list[str] = field(default_factory=list)

    async def begun(self, session_id: str) -> TurnLog:
        """The log of the session's turn, begun by a worker that only the test knows of."""
        lease = await self.leases.acquire(session_id, "a worker")
        assert lease is not None
        turn = TurnLog(self.log, session_id, lease.epoch)
        prompt_id = (await turn.catch_up()).waiting_prompts[0].prompt.id
        await turn.start(e.TurnStarted(turn_id="t1", prompt_id=prompt_id, model=MODEL, epoch=lease.epoch))
        return turn

    async def workspace(self, turn: TurnLog) -> Workspace:
        """The workspace of that turn, not opened."""
        parts = self.parts
        prepared = await parts.forge.prepare(turn.session_id)
        return Workspace(
            turn,
            self.environment,
            parts.boxes,
            await read_base(self.repository, prepared.mirror, "main"),
            prepared.quarantine,
            Bundles(parts.places.bundles),
            parts.doors,
            parts.images,
            parts.snapshots,
            parts.places.inbound,
        )

    def builder(self, lease_seconds: float = LEASE_SECONDS) -> ImageBuilder:
        """What builds images here."""
        places = self.parts.places
        return ImageBuilder(
            BuilderParts(
                environment=self.environment,
                forge=self.parts.forge,
                doors=self.parts.doors,
                bundles=Bundles(places.bundles),
                builds=ImageBuilds(self.database),
                locks=Locks(self.database),
                switch=self.parts.switch,
                catalogue=self.parts.catalogue,
                inbound=places.inbound,
                lease=timedelta(seconds=lease_seconds),
                limits=DiskLimits.of(self.parts.settings),
            )
        )

    def image_reaper(self) -> ImageReaper:
        """What takes images away here."""
        parts = self.parts
        return ImageReaper(
            self.environment,
            ImageBuilds(self.database),
            Locks(self.database),
            parts.catalogue,
            parts.doors,
            parts.places.inbound,
        )

    def reaper(self) -> Reaper:
        """What sweeps boxes, images and snapshots here."""
        parts = self.parts
        return Reaper(
            self.environment,
            self.parts.boxes,
            self.pool,
            self.log,
            self.leases,
            parts.doors,
            parts.snapshots,
            parts.places.inbound,
            self.image_reaper(),
        )

    def sharing(self) -> Sharing:
        """What pushes images and snapshots of here to the registry."""
        return Sharing(self.environment, self.parts.snapshots, ImageBuilds(self.database))

    def sign(self) -> SignOfLife:
        """What tells other hosts that this one works."""
        return SignOfLife(self.environment, Hosts(self.database), 0.2)

    async def opened(
        self,
        text: str = "Fix the total of invoices",
        *,
        author: Person | None = None,
        trigger: str = "",
        attachments: tuple[Attachment, ...] = (),
        context: tuple[ThreadLine, ...] = (),
    ) -> str:
        """A new session whose first prompt waits for a worker; `trigger` names what began it."""
        session_id = f"s{uuid4().hex[:10]}"
        author = author or self.ada
        prompt = Prompt(
            id=f"{session_id}-1", text=text, author=author, attachments=attachments, context=context
        )
        chosen = e.RepositoryChosen(
            slug=self.repository.slug, branch="main", how="named", reason="it was named"
        )
        origin = Origin(platform="web", trigger=trigger)
        await self.log.create(
            session_id,
            [
                e.SessionOpened(title=text, origin=origin, requester=author),
                e.PromptQueued(prompt=prompt),
                chosen,
            ],
        )
        self.sessions.append(session_id)
        return session_id

    async def prompt(
        self,
        session_id: str,
        text: str,
        *,
        author: Person | None = None,
        steer: bool = False,
        attachments: tuple[Attachment, ...] = (),
        context: tuple[ThreadLine, ...] = (),
    ) -> str:
        """A further prompt; its id."""
        prompt = Prompt(
            id=f"{session_id}-{uuid4().hex[:6]}",
            text=text,
            author=author or self.ada,
            steer=steer,
            attachments=attachments,
            context=context,
        )
        await self.commands.add_prompt(session_id, prompt)
        return prompt.id

    async def run(self, session_id: str) -> SessionView:
        """The view after the session's turn ran as far as it goes."""
        await asyncio.wait_for(self.jobs.run_turn(session_id), RUN_SECONDS)
        return await self.log.view(session_id)

    async def events(self, session_id: str) -> list[e.Event]:
        """All that happened in the session."""
        return [record.event for record in await self.log.read(session_id)]

    async def until(
        self, session_id: str, fits: Callable[[e.Event], bool], seconds: float = 60
    ) -> e.Recorded:
        """The first event that fits, waited for."""
        async with asyncio.timeout(seconds):
            async for record in self.log.follow(session_id):
                if fits(record.event):
                    return record
        raise AssertionError("the log ended")


@asynccontextmanager
async def household(
    *,
    approvals: Approvals | None = None,
    verify: tuple[str, ...] = ("sh check.sh",),
    setup: tuple[str, ...] = (),
    files: dict[str, str | bytes | None] | None = None,
    settings: dict[str, str] | None = None,
    spec: ModelSpec = SPEC,
    environment: Environment | None = None,
    forge: Forge | None = None,
    accounts: dict[str, Accounts] | None = None,
    turn_limit_seconds: float = RUN_SECONDS,
    others: tuple[str, ...] = (),
    policy: Mapping[str, object] | None = None,
    limits: QuarantineLimits | None = None,
    beside: Household | None = None,
    redis_url: str = NOBODY,
    carries: bool = False,
) -> AsyncIterator[Household]:
    """A household in a directory of its own, gone afterwards with its boxes. `others`: slugs of further
    repositories, with just a README. `policy`: fields of the repository as the catalogue has them. `limits`:
    how much may leave a box; None: the usual. `beside`: another host, with which it shares the record, the
    people and the repository, and nothing else. `redis_url`: where jobs are put in line. `carries`:
    the broker keeps work for those of other hosts, as with a registry."""
    home = temporary_home()
    async with AsyncExitStack() as stack:
        stack.callback(shutil.rmtree, home, ignore_errors=True)
        if beside is None:
            upstream = Workbench.begun(home / "upstream", "Add billing", {**FILES, **(files or {})})
            repository = Repository(
                slug="acme/billing",
                forge="local",
                url=str(upstream.bare(home / "billing.git")),
                setup=setup,
                verify=verify,
                approvals=approvals or Approvals(),
            )
            repository = Repository.model_validate({**repository.model_dump(), **(policy or {})})
        else:
            upstream, repository = beside.upstream, beside.repository
        model = await stack.enter_async_context(ModelEmulator())
        records = home if beside is None else beside.home
        url = await tables_at(f"sqlite://{records / 'bellhop.db'}")
        database = await stack.enter_async_context(await Database.open(url))
        pulse = await stack.enter_async_context(Pulse(None))
        queue = await stack.enter_async_context(Queue(redis_url))
        own = Settings.load({"AGENT_MODEL": MODEL, "BELLHOP_HOME": str(home), **(settings or {})})
        log, leases = Log(database, pulse), Leases(database, LEASE_SECONDS)
        catalogue = Catalogue([repository, *(_other(home, slug) for slug in others)])
        forge = forge or LocalForge(home / "forge")
        place = environment or LocalEnvironment(directory=home / "boxes")
        effects, directory = Effects(database), Directory(database)
        own_limits = limits or QuarantineLimits()
        audit, switch = Audit(database), KillSwitch(database)
        desk = ForgeDesk(
            DeskParts(
                log=log,
                catalogue=catalogue,
                directory=directory,
                forges={forge.name: forge},
                rights=Rights(accounts or {}),
                audit=audit,
                switch=switch,
                places=StorePlaces.under(home),
                limits=own_limits,
                carried=CarriedWork(SavedWork(database)) if place.registry or carries else None,
            )
        )
        secrets = Vault(SecretRows(database), KeyRing(["k" * 32]))
        pushes = RefusedPushes(log)
        git = GitThroughDoor(
            GitDoorParts(catalogue, desk.repository, desk.refresh, home / "hooks", pushes.tell, own_limits)
        )
        door_parts = DoorParts(log, catalogue, audit, switch, StoredSecrets(secrets), git=git)
        doors = Doors(home / "doors", door_parts)
        stack.push_async_callback(doors.aclose)
        budgets = BudgetDesk(Spending(database), log, catalogue, own.session_budget_usd)
        provider = Provider(model.base_url, model.api_key)
        gateway = await stack.enter_async_context(
            ModelGateway(provider, ModelCatalogue({MODEL: spec}), budgets, audit, switch)
        )
        ways = Ways(LOOPBACK, resolver=to_loopback)
        servers = McpGateway(
            McpParts(log, catalogue, audit, switch, McpPins(database), effects, secrets, ways)
        )
        operations = [
            *desk.operations(),
            *DoorDesk(doors).operations(),
            *budget_operations(budgets),
            *mcp_operations(servers),
        ]
        app = application(operations, {**KINDS, **MCP_KINDS}, gateway_routes(gateway))
        await stack.enter_async_context(serving(app, own.broker_address, {}))
        broker = await stack.enter_async_context(Broker(own.broker_address))
        broker_forge = BrokerForge(broker, home / "exchange")
        http = await stack.enter_async_context(broker_http_client(own.broker_address))

        def client(model_id: str, session_id: str) -> ChatCompletionsModel:
            headers = model_headers(session_id, "agent")
            return ChatCompletionsModel(
                BROKER_MODELS, PLACEHOLDER_KEY, spec, http_client=http, headers=headers, patience=PATIENCE
            )

        places = Places.under(home)
        worker_doors = WorkerDoors(broker, place, places.inbound)
        keeper = SnapshotKeeper(place, log, Snapshots(database))
        builds = ImageBuilds(database)
        images = ReadyImages(place, builds)
        room = DiskLimits.of(own)
        warm = WarmParts(
            place,
            broker_forge,
            worker_doors,
            images,
            builds,
            WarmBoxes(database),
            WarmHints(database, pulse),
            places.inbound,
            room,
        )
        pool = WarmPool(warm, catalogue, Locks(database), switch, own.warm_boxes)
        boxes = SessionBoxes(place, Boxes(database), pool)
        unused = ImageReaper(place, builds, Locks(database), catalogue, worker_doors, places.inbound)
        reaper = Reaper(place, boxes, pool, log, leases, worker_doors, keeper, places.inbound, unused)
        parts = DriverParts(
            environment=place,
            boxes=boxes,
            forge=broker_forge,
            broker=broker,
            switch=switch,
            doors=worker_doors,
            images=images,
            snapshots=keeper,
            disk=DiskWatch(place, boxes, log, reaper, pool, keeper, unused, room),
            catalogue=catalogue,
            directory=directory,
            effects=effects,
            artifacts=Artifacts(database),
            pulse=pulse,
            models=ModelCatalogue({MODEL: spec}),
            model=client,
            tools=discover_tools(),
            skills=[built_in_source()],
            settings=own,
            places=places,
        )
        jobs = Jobs(
            log=log,
            leases=leases,
            queue=queue,
            switch=switch,
            concurrency=Concurrency(
                database, log, most=own.max_sessions, most_per_person=own.max_sessions_per_person
            ),
            preference=Preference(place, Boxes(database), Hosts(database), leases, queue),
            driver=TurnDriver(parts),
            merger=Merger(log, effects, catalogue, broker_forge, pause_seconds=0),
            times=JobTimes(0.2, LEASE_SECONDS, turn_limit_seconds),
        )
        commands = Commands(log, queue, directory, leases, catalogue)
        ada, grace = await directory.resolve(_account("Ada")), await directory.resolve(_account("Grace"))
        made = Household(
            home, model, database, pulse, log, leases, commands, queue, place, forge, repository, upstream,
            jobs, parts, pool, ada, grace, [] if beside is None else beside.sessions,
        )  # fmt: skip
        try:
            yield made
        finally:
            for box in await place.list():
                if box.session_id in made.sessions or box.labels.get(PURPOSE_LABEL) == WARM:
                    await place.remove(box.name)


def _other(home: Path, slug: str) -> Repository:
    name = slug.replace("/", "-")
    work = Workbench.new(home / name)
    work.commit(f"Add {slug}", {"README.md": f"{slug}\n"})
    return Repository(slug=slug, forge="local", url=str(work.bare(home / f"{name}.git")))


def _account(name: str) -> Identity:
    email = f"{name.lower()}@example.com"
    return Identity(platform="console", workspace="w", account=name.lower(), name=name, email=email)
