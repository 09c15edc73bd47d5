"""So many sessions work at once as may, in all and for one person; the others wait and say so."""

from __future__ import annotations

import asyncio

from session.concurrency import PLACE, Concurrency, waits_for_place
from session.leases import Lease
from session.people import Person
from session.view import SessionView
from tests.session.room import Room


def limited(room: Room, *, most: int = 0, each: int = 0) -> Concurrency:
    return Concurrency(room.database, room.log, most=most, most_per_person=each)


async def leased(room: Room, view: SessionView) -> Lease:
    lease = await room.leases.acquire(view.id, "worker")
    assert lease is not None
    return lease


async def tried(room: Room, concurrency: Concurrency, view: SessionView) -> Lease | None:
    """The lease under which the session works now; None, and nothing is held, when it waits."""
    lease = await leased(room, view)
    if await concurrency.admitted(await room.log.view(view.id), lease.epoch):
        return lease
    await room.leases.release(lease)
    return None


async def test_who_comes_too_many_waits_and_says_why(room: Room, ada: Person, grace: Person) -> None:
    concurrency = limited(room, most=1)
    first, second = await room.queued(ada), await room.queued(grace)
    lease = await tried(room, concurrency, first)
    assert lease is not None
    for _ in range(3):
        assert await tried(room, concurrency, second) is None
    waiting = await room.log.view(second.id)
    assert [(note.part, note.detail) for note in waiting.degraded] == [
        (PLACE, "1 session is at work, which is as many as may be at once; this one starts when one ends")
    ]
    assert waiting.state == "queued"
    assert waits_for_place(waiting)
    assert await concurrency.next() == [second.id]
    await room.leases.release(lease)
    assert await tried(room, concurrency, second) is not None
    started = await room.log.view(second.id)
    assert started.degraded == ()
    assert not waits_for_place(started)


async def test_many_at_once_get_exactly_as_many_places_as_there_are(room: Room, ada: Person) -> None:
    concurrency = limited(room, most=3)
    views = [await room.queued(ada) for _ in range(8)]
    leases = [await leased(room, view) for view in views]
    reasons = await asyncio.gather(
        *(concurrency.may_start(view, lease.epoch) for view, lease in zip(views, leases, strict=True))
    )
    assert sum(reason is None for reason in reasons) == 3


async def test_one_person_s_sessions_leave_room_for_others(room: Room, ada: Person, grace: Person) -> None:
    concurrency = limited(room, most=10, each=1)
    assert await tried(room, concurrency, await room.queued(ada)) is not None
    second = await room.queued(ada)
    assert await tried(room, concurrency, second) is None
    (note,) = (await room.log.view(second.id)).degraded
    assert note.detail.startswith("1 session is at work for Ada, ")
    assert await tried(room, concurrency, await room.queued(grace)) is not None


async def test_a_turn_that_has_begun_goes_on_and_counts(room: Room, ada: Person) -> None:
    concurrency = limited(room, most=1)
    assert await tried(room, concurrency, await room.queued(ada)) is not None
    assert await tried(room, concurrency, await room.running(ada)) is not None
    assert await tried(room, concurrency, await room.queued(ada)) is None


async def test_the_place_of_a_dead_worker_is_free_again(room: Room, ada: Person) -> None:
    concurrency = limited(room, most=1)
    first = await room.queued(ada)
    assert await tried(room, concurrency, first) is not None
    await room.database.execute("UPDATE leases SET expires_at = ?", await room.database.clock())
    assert await tried(room, concurrency, await room.queued(ada)) is not None


async def test_without_limits_nothing_is_marked(room: Room, ada: Person) -> None:
    concurrency = limited(room)
    view = await room.queued(ada)
    assert await tried(room, concurrency, view) is not None
    assert await room.database.rows("SELECT id FROM reservations") == []
    assert await concurrency.next() == []
    assert (await room.log.view(view.id)).seq == view.seq


async def test_waiting_for_a_place_is_never_a_failed_try(room: Room, ada: Person) -> None:
    concurrency = limited(room, most=1)
    assert await tried(room, concurrency, await room.running(ada)) is not None
    waiting = await room.queued(ada)
    for _ in range(6):
        assert await tried(room, concurrency, waiting) is None
        await room.reconciler.sweep()
    assert (await room.log.view(waiting.id)).state == "queued"
