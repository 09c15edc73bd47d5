"""What every process of Bellhop shares: the record, the queue, the commands."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from deploy.bundled_redis import bundled_redis
from session.artifacts import Artifacts
from session.audit import Audit
from session.broker import Broker
from session.catalogue import Catalogue
from session.commands import Commands
from session.customs import Customs
from session.database import Database
from session.directory import Directory
from session.effects import Effects
from session.halt import KillSwitch
from session.leases import Leases
from session.log import Log
from session.messages import ChatMessages
from session.outbox import Outbox
from session.pulse import Pulse
from session.queue import Queue
from session.secret_rows import SecretRows
from session.settings import Settings
from session.warming import Warming


@dataclass(frozen=True, slots=True)
class Core:
    """The session room, put together. `redis_url` is the address in use, also when the server is bundled."""

    settings: Settings
    catalogue: Catalogue
    redis_url: str
    database: Database
    pulse: Pulse
    queue: Queue
    log: Log
    leases: Leases
    effects: Effects
    outbox: Outbox
    messages: ChatMessages
    artifacts: Artifacts
    directory: Directory
    commands: Commands
    secrets: SecretRows
    audit: Audit
    switch: KillSwitch
    broker: Broker
    warming: Warming
    customs: Customs


@asynccontextmanager
async def open_core(settings: Settings, catalogue: Catalogue) -> AsyncIterator[Core]:
    """The shared parts, connected; an embedded Redis runs as long as the context.

    Raises: DatabaseDown, BundledRedisFailed.
    """
    async with AsyncExitStack() as stack:
        redis_url = settings.redis_url
        if not redis_url:
            redis_url = await stack.enter_async_context(bundled_redis(settings.bellhop_home / "redis"))
        database = await Database.open(settings.database_address)
        stack.push_async_callback(database.aclose)
        await database.migrate()
        pulse = await stack.enter_async_context(Pulse(redis_url))
        queue = await stack.enter_async_context(Queue(redis_url))
        broker = await stack.enter_async_context(Broker(settings.broker_address))
        log = Log(database, pulse)
        leases = Leases(database, settings.lease_seconds)
        directory = Directory(database, settings.default_role)
        audit = Audit(database)
        customs = Customs.over(database, directory, catalogue, audit, settings.models)
        yield Core(
            settings=settings,
            catalogue=catalogue,
            redis_url=redis_url,
            database=database,
            pulse=pulse,
            queue=queue,
            log=log,
            leases=leases,
            effects=Effects(database),
            outbox=Outbox(database, pulse),
            messages=ChatMessages(database),
            artifacts=Artifacts(database),
            directory=directory,
            commands=Commands(log, queue, directory, leases, catalogue, customs.people),
            secrets=SecretRows(database),
            audit=audit,
            switch=KillSwitch(database),
            broker=broker,
            warming=Warming(log, directory, catalogue, queue),
            customs=customs,
        )
