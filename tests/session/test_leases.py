"""Leases: one holder, an epoch that counts, the database's clock."""

from __future__ import annotations

import asyncio

import pytest

from session.leases import LeaseLost, Leases
from session.people import Person
from tests.session.room import Room, eventually


async def test_of_eight_workers_one_wins_and_epochs_never_repeat(room: Room, ada: Person) -> None:
    views = [await room.queued(ada) for _ in range(5)]
    wins: list[tuple[str, int]] = []

    async def work(name: str) -> None:
        for _ in range(20):
            for view in views:
                lease = await room.leases.acquire(view.id, name)
                if lease is not None:
                    wins.append((lease.session_id, lease.epoch))
                    await room.leases.release(lease)

    await asyncio.gather(*(work(f"worker-{number}") for number in range(8)))
    assert len(wins) >= 100
    assert len(set(wins)) == len(wins)
    for view in views:
        epochs = sorted(epoch for session_id, epoch in wins if session_id == view.id)
        assert epochs == list(range(1, len(epochs) + 1))
        assert await room.leases.next_epoch(view.id) == len(epochs) + 1


async def test_a_live_lease_keeps_others_out_until_it_is_released(room: Room, ada: Person) -> None:
    view = await room.queued(ada)
    lease = await room.leases.acquire(view.id, "one")
    assert lease is not None
    assert await room.leases.held(view.id)
    assert await room.leases.acquire(view.id, "two") is None
    await room.leases.heartbeat(lease)
    await room.leases.release(lease)
    assert not await room.leases.held(view.id)
    with pytest.raises(LeaseLost):
        await room.leases.heartbeat(lease)


async def test_a_lease_that_ran_out_is_taken_over_and_its_holder_told(room: Room, ada: Person) -> None:
    view = await room.queued(ada)
    short = Leases(room.database, lease_seconds=0.05)
    old = await short.acquire(view.id, "old")
    assert old is not None
    new = await eventually(lambda: room.leases.acquire(view.id, "new"))
    assert new.epoch == old.epoch + 1
    with pytest.raises(LeaseLost):
        await short.heartbeat(old)
    await short.release(old)  # must not take the new holder's lease away
    assert await room.leases.held(view.id)


async def test_there_is_no_lease_on_a_session_that_is_not_there(room: Room) -> None:
    assert await room.leases.acquire("nowhere", "one") is None
