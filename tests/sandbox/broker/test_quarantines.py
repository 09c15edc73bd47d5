"""Which quarantines go, and which stay."""

from __future__ import annotations

import asyncio
import os
import time
from datetime import timedelta
from pathlib import Path

from sandbox.broker.quarantines import GONE, Quarantines

KEPT = timedelta(days=30)


async def used(quarantines: Quarantines, session_id: str) -> Path:
    """A quarantine of that session, used just now."""
    place = quarantines.path(session_id, "Acme/Billing")
    async with quarantines.in_use(session_id):
        place.mkdir(parents=True)
        (place / "HEAD").write_text("ref: refs/heads/main")
    return place


def long_ago(directory: Path, session_id: str) -> None:
    then = time.time() - KEPT.total_seconds() - 60
    os.utime(directory / session_id, (then, then))


async def test_what_is_over_and_long_unused_goes_and_nothing_that_is_being_used(tmp_path: Path) -> None:
    directory = tmp_path / "quarantine"
    quarantines, asked = Quarantines(directory), list[str]()
    over, taken_up = {"done", "fresh", "held"}, asyncio.Event()

    async def is_over(session_id: str) -> bool:
        asked.append(session_id)
        taken_up.set()
        return session_id in over

    assert await quarantines.clear(KEPT, is_over) == 0, "no session has one yet"
    places = {name: await used(quarantines, name) for name in ("done", "fresh", "held", "on")}
    assert places["done"] == directory / "done" / "acme" / "billing.git"
    for session_id in ("done", "held", "on"):
        long_ago(directory, session_id)
    # What an earlier clearing was cut off in.
    (directory / f"{GONE}1" / "acme").mkdir(parents=True)

    async with quarantines.in_use("held"):
        clearing = asyncio.create_task(quarantines.clear(KEPT, is_over))
        await taken_up.wait()
        # Whoever uses one has said before that its session goes on.
        over.remove("held")
        assert asked == ["done"], "the next is not even asked about while it is in use"
    assert await clearing == 1
    assert asked == ["done", "held", "on"]
    assert sorted(os.listdir(directory)) == ["fresh", "held", "on"]
    assert all(places[name].exists() for name in ("fresh", "held", "on"))

    # It counts as used since, whatever the record says now.
    over.add("held")
    assert await quarantines.clear(KEPT, is_over) == 0
