"""A queue that is away is noted in the session once, and the note goes when a worker can be reached."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from session import events as e
from session.commands import Commands
from session.parts import away
from session.people import Person
from session.queue import Queue
from tests.session.people import ORIGIN, prompt
from tests.session.room import CATALOGUE, Room


@pytest.fixture
async def without_redis(room: Room) -> AsyncIterator[Commands]:
    """The commands of a process that cannot reach Redis."""
    async with Queue("redis://127.0.0.1:1/0") as dead:
        yield Commands(room.log, dead, room.directory, room.leases, CATALOGUE)


async def notes(room: Room, session_id: str) -> list[e.Event]:
    kinds = (e.PartDegraded, e.PartRecovered)
    return [record.event for record in await room.log.read(session_id) if isinstance(record.event, kinds)]


async def test_a_request_without_a_queue_is_taken_and_the_delay_said_once(
    room: Room, ada: Person, without_redis: Commands
) -> None:
    view = await without_redis.open_session(prompt(ada), ORIGIN)
    await without_redis.add_prompt(view.id, prompt(ada, "and soon"))
    view = await room.log.view(view.id)
    assert len(view.waiting_prompts) == 2
    assert [(item.part, "as soon as it is back" in item.detail) for item in view.degraded] == [
        ("job queue", True)
    ]
    assert len(await notes(room, view.id)) == 1


async def test_the_next_command_that_reaches_the_queue_takes_the_note_back(
    room: Room, ada: Person, without_redis: Commands
) -> None:
    view = await without_redis.open_session(prompt(ada), ORIGIN)
    await room.commands.add_prompt(view.id, prompt(ada, "now?"))
    view = await room.log.view(view.id)
    assert view.degraded == ()
    assert await room.queue.status("route_session", view.id, view.seq) == "queued"


async def test_the_reconciler_takes_the_note_back_and_rings_once(
    room: Room, ada: Person, without_redis: Commands
) -> None:
    view = await without_redis.open_session(prompt(ada), ORIGIN)
    assert await room.reconciler.sweep() == 1
    assert (await room.log.view(view.id)).degraded == ()
    assert await room.reconciler.sweep() == 0
    assert await room.queue.depth() == 1
    assert [type(event) for event in await notes(room, view.id)] == [e.PartDegraded, e.PartRecovered]


async def test_nothing_is_noted_where_no_worker_is_wanted(
    room: Room, ada: Person, without_redis: Commands
) -> None:
    view = await room.opened(ada)
    await without_redis.cancel_prompt(view.id, view.prompts[0].prompt.id, ada)
    assert await notes(room, view.id) == []


async def test_another_trouble_of_the_same_part_is_news(room: Room, ada: Person) -> None:
    view = await room.opened(ada)
    view = await room.log.record(view.id, lambda view: away(view, "sandbox", "no room"))
    assert away(view, "sandbox", "no room") == []
    view = await room.log.record(view.id, lambda view: away(view, "sandbox", "no box"))
    assert [item.detail for item in view.degraded] == ["no box"]
