"""A turn goes to the host that has the session's box, and to any other when that one does not take it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from sandbox.environments.docker_engine import DockerEnvironment
from sandbox.preference import Preference
from session import events as e
from session.boxes import Boxes
from session.hosts import Hosts
from session.people import Prompt
from session.queue import Queue
from tests.sandbox.household import MODEL, Household, household
from tests.sandbox.test_jobs import FINISH
from tests.sandbox.test_worker import process

pytestmark = pytest.mark.needs("redis")


@asynccontextmanager
async def working(house: Household, redis_url: str) -> AsyncIterator[None]:
    """A worker's process runs on that host, and the others know."""
    async with Queue(redis_url) as queue:
        await house.sign().give()
        running = asyncio.create_task(process(house, redis_url, queue).run())
        try:
            yield
        finally:
            running.cancel()
            await asyncio.wait([running])


async def place_of(house: Household, session_id: str) -> str:
    """Where the session's box is."""
    box = await Boxes(house.database).of(session_id)
    assert box is not None
    return box.place


async def prompted(house: Household, session_id: str, text: str) -> None:
    """A further prompt is on record, and nobody was rung for."""
    view = await house.log.view(session_id)
    prompt = Prompt(id=f"{session_id}-{text}", text=text, author=house.ada)
    await house.log.append(session_id, [e.PromptQueued(prompt=prompt)], expected_seq=view.seq)


async def ended(house: Household, session_id: str, turns: int) -> None:
    """Returns when so many turns of the session have come to their end."""
    finished = 0

    def counts(event: e.Event) -> bool:
        nonlocal finished
        finished += isinstance(event, e.TurnFinished)
        return finished == turns

    await house.until(session_id, counts)


async def test_a_turn_goes_to_its_box_while_a_worker_lives_there(redis_url: str) -> None:
    async with (
        household(verify=(), redis_url=redis_url) as first,
        household(beside=first, redis_url=redis_url) as second,
    ):
        here, there = await first.environment.place(), await second.environment.place()
        first.model.script(MODEL, FINISH, FINISH)
        session_id = await first.opened()
        await first.run(session_id)
        assert await place_of(first, session_id) == here

        # The other worker gets the job, and this one does the work.
        async with working(first, redis_url):
            await prompted(first, session_id, "again")
            await second.jobs.run_turn(session_id)
            await ended(first, session_id, 2)
        assert await place_of(first, session_id) == here

        # It has just died, which nobody knows yet: for a while the turn waits for it, and then for nobody.
        hosts = Hosts(first.database)
        await hosts.beat(here, "first")
        await prompted(first, session_id, "third")
        # What the worker was rung for just before it ended may be in line still.
        before = await second.queue.depth()
        assert before is not None
        await second.jobs.run_turn(session_id)
        view = await second.log.view(session_id)
        assert (view.turns, view.turn_open) == (2, False)
        assert await second.queue.depth() == before + 1
        second.model.script(MODEL, FINISH)
        async with working(second, redis_url):
            await ended(second, session_id, 3)
        assert await place_of(first, session_id) == there

        # Of a host whose sign is old, or that has left, nothing is expected.
        await hosts.beat(there, "second")
        old = await first.database.clock() - timedelta(days=1)
        await first.database.execute("UPDATE hosts SET seen_at = ? WHERE place = ?", old, there)
        first.model.script(MODEL, FINISH)
        await prompted(first, session_id, "fourth")
        await first.jobs.run_turn(session_id)
        assert await place_of(first, session_id) == here
        assert [host.place for host in await hosts.all()] == [here, there]
        await hosts.leave(here)
        assert await hosts.at_work() == []


async def test_a_host_whose_engine_is_away_hands_its_turns_on(redis_url: str, tmp_path: Path) -> None:
    away = DockerEnvironment(
        run_directory=tmp_path, base_image="none", cache=tmp_path, base_url="unix:///nowhere/docker.sock"
    )
    async with household(verify=(), redis_url=redis_url) as house:
        boxes, hosts = Boxes(house.database), Hosts(house.database)
        preference = Preference(away, boxes, hosts, house.leases, house.queue)
        session_id = await house.opened()
        assert not await preference.handed_on(session_id), "there is nobody else"
        await house.sign().give()
        assert await preference.handed_on(session_id)
        assert await house.queue.depth() == 1
