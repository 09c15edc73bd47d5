"""A worker process takes jobs from a real Redis, and outlives it."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from sandbox.images.jobs import ImageJobs
from sandbox.worker import WorkerProcess
from session import events as e
from session.locks import Locks
from session.queue import Queue
from session.reconciler import Reconciler
from session.warm_boxes import WarmBoxes
from tests.emulators.model.turns import Held
from tests.provision import processes
from tests.provision.places import CACHE
from tests.provision.valkey import ValkeyServer
from tests.sandbox.household import MODEL, RUN_SECONDS, Household, household
from tests.sandbox.test_jobs import FINISH
from tests.session.room import eventually

pytestmark = pytest.mark.needs("redis")


async def route_nothing(session_id: str) -> None:
    """Sessions of these tests come with their repository."""


def process(house: Household, redis_url: str, queue: Queue) -> WorkerProcess:
    parts = house.parts
    return WorkerProcess(
        redis_url=redis_url,
        jobs=house.jobs,
        route_session=route_nothing,
        read_words=route_nothing,
        reconciler=Reconciler(house.database, house.log, house.leases, queue, grace_seconds=0.2),
        reaper=house.reaper(),
        snapshots=parts.snapshots,
        sharing=house.sharing(),
        sign=house.sign(),
        disk=parts.disk,
        pool=house.pool,
        images=ImageJobs(
            house.builder(), parts.disk, house.parts.catalogue, Locks(house.database), timedelta(seconds=20)
        ),
        image_interval_minutes=0,
        concurrency=2,
        turn_limit_seconds=RUN_SECONDS,
    )


def finished(event: e.Event) -> bool:
    return isinstance(event, e.TurnFinished)


async def test_a_job_is_taken_and_a_lost_redis_is_outlived() -> None:
    with processes.private_directory(CACHE / "valkey") as directory:
        server = ValkeyServer(directory)
        server.start()
        async with household(settings={"WARM_BOXES": "0"}) as house, Queue(server.url) as queue:
            held = Held(FINISH)
            house.model.script(MODEL, FINISH, held, FINISH)
            # Each is opened when its turn comes: the reconciler would drive the others early.
            first = await house.opened()
            running = asyncio.create_task(process(house, server.url, queue).run())
            try:
                await queue.enqueue("run_turn", first, 1)
                await house.until(first, finished)
                through = await house.opened()
                await queue.enqueue("run_turn", through, 1)
                await asyncio.wait_for(held.reached.wait(), 60)
                server.kill()
                held.release()
                await house.until(through, finished)
                server.start()
                second = await house.opened()
                await queue.enqueue("run_turn", second, 1)
                await house.until(second, finished)
                assert not running.done()
            finally:
                running.cancel()
                await asyncio.wait([running])
        server.stop()


async def test_a_worker_that_is_rung_for_has_a_box_wait_and_leaves_none_behind(redis_url: str) -> None:
    async with household(others=("acme/web",)) as house, Queue(redis_url) as queue:
        boxes, place = WarmBoxes(house.database), await house.environment.place()

        async def waits() -> str | None:
            found = await boxes.on(place)
            return found[0].repository if found and found[0].state == "ready" else None

        await queue.enqueue("warm_box", "acme/web", 0)
        running = asyncio.create_task(process(house, redis_url, queue).run())
        try:
            assert await eventually(waits) == "acme/web"
            assert len(await house.environment.list()) == 1
        finally:
            running.cancel()
            await asyncio.wait({running})
        assert await boxes.on(place) == []
        assert await house.environment.list() == []
