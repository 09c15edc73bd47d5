"""The room on a fresh database."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from session.artifacts import Artifacts
from session.commands import Commands
from session.database import Database
from session.directory import Directory
from session.effects import Effects
from session.leases import Leases
from session.log import Log
from session.outbox import Outbox
from session.people import Person
from session.pulse import Pulse
from session.queue import Queue
from session.reconciler import Reconciler
from tests.provision.databases import tables_at
from tests.session.room import CATALOGUE, Room


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """A database with this version's tables."""
    async with await Database.open(await tables_at(database_url)) as database:
        yield database


@pytest.fixture
async def room(database: Database, redis_url: str) -> AsyncIterator[Room]:
    """The whole room; the reconciler leaves nothing alone."""
    async with Pulse(None) as pulse, Queue(redis_url) as queue:
        log = Log(database, pulse)
        leases = Leases(database, lease_seconds=600.0)
        directory = Directory(database)
        yield Room(
            database=database,
            pulse=pulse,
            queue=queue,
            log=log,
            leases=leases,
            directory=directory,
            outbox=Outbox(database, pulse),
            effects=Effects(database),
            artifacts=Artifacts(database),
            commands=Commands(log, queue, directory, leases, CATALOGUE),
            reconciler=Reconciler(database, log, leases, queue, grace_seconds=0.0),
        )


@pytest.fixture
async def ada(room: Room) -> Person:
    """An approver."""
    return await room.person("Ada")


@pytest.fixture
async def grace(room: Room) -> Person:
    """Another approver."""
    return await room.person("Grace")


@pytest.fixture
async def linus(room: Room) -> Person:
    """A viewer."""
    return await room.person("Linus", "viewer")
