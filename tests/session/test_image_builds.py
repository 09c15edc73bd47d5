"""Builds on record: one row from beginning to end, one holder of a lock, on both databases."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from session.database import Database
from session.image_builds import BuildLost, ImageBuilds, Made, lock_name
from session.locks import Locks
from tests.session.room import tick

MADE = Made("Acme/Billing", "local:1", "a" * 40, "01234567", "recipe", "base")
LONG, OVER = timedelta(minutes=1), timedelta(seconds=0)


async def test_a_build_from_its_beginning_to_its_end(database: Database) -> None:
    builds = ImageBuilds(database)
    first = await builds.begin(MADE)
    await builds.tell(first, "$ make\nall\0 good\n")
    found = await builds.find(first)
    assert found is not None
    assert (found.state, found.made.repository, found.finished_at) == ("building", "acme/billing", None)
    assert await builds.log(first) == "$ make\nall good\n"
    await builds.ready(first, "image:1", 1, 4096, None)
    whole = await builds.find(first)
    assert whole is not None
    assert (whole.state, whole.reference, whole.layers, whole.size_bytes) == ("ready", "image:1", 1, 4096)
    assert whole.finished_at == whole.whole_at
    await tick(database)
    second = await builds.begin(MADE)
    await builds.fail(second, "make ended with 1", passing=True)
    await tick(database)
    third = await builds.begin(Made("acme/billing", "elsewhere"))
    await builds.ready(third, "image:2", 2, 1, whole.whole_at)
    assert [build.id for build in await builds.of("acme/Billing")] == [third, second, first]
    assert [build.id for build in await builds.of("acme/billing", "local:1")] == [second, first]
    (newest, failed, _) = await builds.all()
    assert newest.whole_at == whole.whole_at
    assert (failed.cause, failed.passing) == ("make ended with 1", True)
    for late in (builds.tell(second, "x"), builds.ready(first, "x", 1, 1, None)):
        with pytest.raises(BuildLost):
            await late
    with pytest.raises(BuildLost):
        await builds.fail(third, "late", passing=False)
    await builds.forget(first)
    assert (await builds.find(first), await builds.log(first)) == (None, "")


async def test_a_lock_has_one_holder_until_it_runs_out(database: Database) -> None:
    locks, name = Locks(database), lock_name("Acme/Billing")
    taken = await asyncio.gather(*(locks.take(name, holder, LONG) for holder in ("a", "b", "c")))
    assert taken.count(True) == 1
    holder = "abc"[taken.index(True)]
    assert await locks.held(name)
    assert await locks.keep(name, holder, OVER), "it is let to run out"
    assert not await locks.held(name)
    assert not await locks.keep(name, holder, LONG), "whoever let it run out has lost it"
    assert await locks.take(name, "d", LONG)
    await locks.drop(name, holder)
    assert await locks.held(name)
    await locks.drop(name, "d")
    assert not await locks.held(name)
