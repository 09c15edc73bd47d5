"""The rooms behind the bot for a test: a real database, real commands, and a worker's pen for the log."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bot.counter import Counter
from bot.inbox import ChatInbox
from bot.messages import Choice
from bot.platforms.console.people import identity
from bot.platforms.protocol import Platform
from bot.reactions import ReactionTable
from bot.session_feed import FeedRooms
from bot.thread_feed import ThreadFeed
from bot.thread_posts import ThreadPosts
from session import events as e
from session.audit import Audit
from session.broker import Broker
from session.broker_accounts import GitHubAccounts
from session.catalogue import Catalogue, Repository
from session.commands import Commands
from session.customs import Customs
from session.database import Database
from session.directory import Directory
from session.effects import Effects
from session.leases import Leases
from session.listing import SessionFilter
from session.log import Log
from session.messages import ChatMessages
from session.outbox import Outbox
from session.people import Role
from session.pulse import Pulse
from session.queue import Queue
from session.transcripts import Transcripts
from session.view import SessionView
from session.warming import Warming
from tests.provision.databases import tables_at

NO_BROKER = Path("/nonexistent/broker.sock")
PUBLIC_URL = "https://bellhop.example.com"
CATALOGUE = Catalogue(
    [
        Repository(slug="acme/billing", forge="local", url="/srv/billing.git", description="invoices"),
        Repository(slug="acme/web", forge="local", url="/srv/web.git", description="the shop"),
    ]
)
MODELS = ("model-one", "model-two")
CHOICES = tuple(Choice(r.slug, r.slug, r.description) for r in CATALOGUE.active)


@dataclass(frozen=True, slots=True)
class Rooms:
    """What a test reads and writes with."""

    database: Database
    log: Log
    commands: Commands
    directory: Directory
    feed: FeedRooms
    broker: Broker
    queue: Queue
    customs: Customs
    leases: Leases

    def counter(self, platform: Platform, *, mentions_required: bool = False) -> Counter:
        """The front desk of a platform."""
        return Counter(
            platform=platform,
            log=self.log,
            commands=self.commands,
            directory=self.directory,
            messages=self.feed.messages,
            reactions=ReactionTable.standard(),
            customs=self.customs,
            repositories=CHOICES,
            mentions_required=mentions_required,
            transcripts=Transcripts(self.broker),
            public_url=PUBLIC_URL,
        )

    def thread_feed(self, platform: Platform, *, interval_seconds: float = 0.0) -> ThreadFeed:
        """A feed that does not wait long for anything."""
        return ThreadFeed(
            platform,
            self.feed,
            ThreadPosts(PUBLIC_URL, CHOICES),
            interval_seconds=interval_seconds,
            backoff_seconds=0.02,
        )

    @asynccontextmanager
    async def serving(
        self,
        platform: Platform,
        *,
        interval_seconds: float = 0.0,
        mentions_required: bool = False,
        with_feed: bool = True,
    ) -> AsyncIterator[ChatInbox]:
        """The platform and its feed, running until the block ends."""
        counter = self.counter(platform, mentions_required=mentions_required)
        feed = self.thread_feed(platform, interval_seconds=interval_seconds)
        ready: asyncio.Future[ChatInbox] = asyncio.get_running_loop().create_future()
        tasks = [asyncio.create_task(_listen(platform, counter, self, ready))]
        tasks += [asyncio.create_task(feed.run())] if with_feed else []
        try:
            yield await ready
        finally:
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
        for result in ended:
            if isinstance(result, Exception):
                raise result

    async def sessions(self) -> list[str]:
        """Ids of all sessions, newest first."""
        return [row.id for row in await self.log.sessions(SessionFilter(limit=200))]

    async def only_session(self) -> str:
        """The id of the one session there is."""
        (session_id,) = await self.sessions()
        return session_id

    async def write(self, session_id: str, *events: e.Event) -> SessionView:
        """Append what a worker would."""
        return await self.log.record(session_id, lambda view: events)

    async def start_turn(self, session_id: str, prompt: int = 0) -> SessionView:
        """Repository chosen, turn under way, sandbox there."""
        view = await self.log.view(session_id)
        chosen = [] if view.repository else [repository_chosen()]
        return await self.write(
            session_id,
            *chosen,
            e.TurnStarted(
                turn_id=f"t{prompt}", prompt_id=view.prompts[prompt].prompt.id, model="test-model", epoch=1
            ),
            e.SandboxReady(backend="local", isolation="namespaces, no network", box="b1", image="base"),
        )

    async def ask_approval(self, session_id: str, approval_id: str = "a1") -> SessionView:
        """The agent wants to open a pull request."""
        return await self.write(session_id, approval_requested(approval_id))

    async def set_role(self, name: str, role: Role) -> None:
        """Give somebody on the console another role."""
        person = await self.directory.resolve(identity(name))
        await self.directory.set_role(person.id, role)


async def _listen(
    platform: Platform, counter: Counter, rooms: Rooms, ready: asyncio.Future[ChatInbox]
) -> None:
    warming = Warming(rooms.log, rooms.directory, CATALOGUE, rooms.queue)
    async with asyncio.TaskGroup() as waiting:
        inbox = ChatInbox(counter, GitHubAccounts(rooms.broker), waiting, warming)
        ready.set_result(inbox)
        await platform.run(inbox)


def repository_chosen() -> e.RepositoryChosen:
    """Routing found the billing repository."""
    return e.RepositoryChosen(slug="acme/billing", branch="main", how="model", reason="invoices are there")


def approval_requested(approval_id: str = "a1", excluded: tuple[str, ...] = ()) -> e.ApprovalRequested:
    """A pull request to be approved."""
    return e.ApprovalRequested(
        approval_id=approval_id,
        kind="pull_request",
        title="Round half up",
        detail="2 files, +10 −2",
        digest=f"digest-{approval_id}",
        head_sha="0123456789abcdef",
        policy_version="1",
        expires_at=datetime.now(UTC) + timedelta(minutes=30),
        turn_id="t0",
        call_id="c1",
        excluded=excluded,
    )


@asynccontextmanager
async def open_rooms(
    database_url: str, redis_url: str, broker_socket: Path = NO_BROKER
) -> AsyncIterator[Rooms]:
    """The rooms over a new SQLite file, or a PostgreSQL database with its tables.

    Nobody serves the broker's socket unless the test does.
    """
    database = await Database.open(await tables_at(database_url))
    try:
        async with Pulse(None) as pulse, Queue(redis_url) as queue, Broker(broker_socket) as broker:
            log = Log(database, pulse)
            directory = Directory(database)
            customs = Customs.over(database, directory, CATALOGUE, Audit(database), MODELS)
            leases = Leases(database, lease_seconds=600.0)
            commands = Commands(log, queue, directory, leases, CATALOGUE, customs.people)
            messages = ChatMessages(database)
            outbox, effects = Outbox(database, pulse), Effects(database)
            feed = FeedRooms(log, commands, outbox, effects, messages, pulse, customs.people)
            yield Rooms(database, log, commands, directory, feed, broker, queue, customs, leases)
    finally:
        await database.aclose()
