"""What the fault tests share: a Redis that they may kill."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager

import pytest

from tests.faults.processes import STEADY, House, house
from tests.provision import places, processes
from tests.provision.valkey import ValkeyServer

OpenHouse = Callable[..., AbstractAsyncContextManager[House]]


@pytest.fixture(scope="module")
def own_redis(require: Callable[[str], None]) -> Iterator[ValkeyServer]:
    """A Redis-compatible server of this module alone."""
    require("redis")
    with processes.private_directory(places.CACHE / "valkey") as directory:
        server = ValkeyServer(directory)
        server.start()
        yield server
        server.stop()


@pytest.fixture
async def one_worker(postgres_database: str, own_redis: ValkeyServer) -> AsyncIterator[House]:
    """A house with one worker."""
    async with house(postgres_database, own_redis) as made:
        yield made


@pytest.fixture
async def steady_worker(postgres_database: str, own_redis: ValkeyServer) -> AsyncIterator[House]:
    """The same for tests in which nothing takes its turn from it."""
    async with house(postgres_database, own_redis, settings=STEADY) as made:
        yield made


@pytest.fixture
async def two_workers(postgres_database: str, own_redis: ValkeyServer) -> AsyncIterator[House]:
    """A house with two workers on one host."""
    async with house(postgres_database, own_redis, workers=2) as made:
        yield made
