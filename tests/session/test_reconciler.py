"""The reconciler: what nobody does is done again, at most three times, then failed aloud."""

from __future__ import annotations

import asyncio

import redis.asyncio as redis

from session import events as e
from session.database import Database
from session.log import Log
from session.people import Person
from session.pulse import Pulse
from session.queue import Queue
from session.reconciler import Reconciler
from session.view import SessionView
from tests.session.room import Room, always, eventually


async def flush(redis_url: str) -> None:
    async with redis.Redis.from_url(redis_url) as client:
        await client.flushall()


async def depth(room: Room) -> int:
    return await room.queue.depth() or 0


async def test_what_is_in_line_or_worked_on_is_left_alone(room: Room, ada: Person) -> None:
    routing = await room.opened(ada)
    queued = await room.queued(ada)
    running = await room.running(ada)
    assert await room.leases.acquire(running.id, "worker") is not None
    before = await depth(room)
    assert await room.reconciler.sweep() == 0
    assert await depth(room) == before
    for view in (routing, queued, running):
        assert (await room.log.view(view.id)).failure is None


async def test_after_redis_lost_everything_all_of_it_is_in_line_again(
    room: Room, ada: Person, redis_url: str
) -> None:
    await room.opened(ada)
    await room.queued(ada)
    await room.running(ada)
    await flush(redis_url)
    assert await room.reconciler.sweep() == 3
    assert await depth(room) == 3
    assert await room.reconciler.sweep() == 0


async def test_a_job_that_no_worker_ever_took_is_not_a_failed_try(
    room: Room, ada: Person, redis_url: str
) -> None:
    view = await room.queued(ada)
    for _ in range(6):
        await flush(redis_url)
        assert await room.reconciler.sweep() == 1
    assert (await room.log.view(view.id)).state == "queued"


async def lose_workers(room: Room, view: SessionView, redis_url: str, times: int) -> None:
    """Workers take the session up and die, one after another."""
    for _ in range(times):
        lease = await room.leases.acquire(view.id, "doomed")
        assert lease is not None
        await room.leases.release(lease)
        await flush(redis_url)
        await room.reconciler.sweep()


async def test_a_turn_whose_workers_die_fails_aloud_after_three_tries(
    room: Room, ada: Person, redis_url: str
) -> None:
    view = await room.running(ada)
    await lose_workers(room, view, redis_url, 3)
    assert (await room.log.view(view.id)).state == "running"
    await lose_workers(room, view, redis_url, 1)
    after = await room.log.view(view.id)
    assert after.state == "failed"
    assert after.failure is not None
    assert "3 times" in after.failure.cause
    assert "🔁" in after.failure.advice


async def test_progress_in_between_starts_the_count_anew(room: Room, ada: Person, redis_url: str) -> None:
    view = await room.running(ada)
    for _ in range(4):
        await lose_workers(room, view, redis_url, 2)
        called = e.ToolCalled(turn_id="t", call_id="c", tool="bash", action="running the tests")
        await room.log.record(view.id, always(called))
    assert (await room.log.view(view.id)).state == "running"


async def test_a_prompt_that_never_becomes_a_turn_fails_in_its_own_name(
    room: Room, ada: Person, redis_url: str
) -> None:
    view = await room.queued(ada)
    await lose_workers(room, view, redis_url, 4)
    after = await room.log.view(view.id)
    assert after.state == "failed"
    assert [item.state for item in after.prompts] == ["failed"]


async def test_routing_that_never_ends_fails_aloud(room: Room, ada: Person, redis_url: str) -> None:
    view = await room.opened(ada)
    for _ in range(4):
        await flush(redis_url)
        await room.reconciler.sweep()
    after = await room.log.view(view.id)
    assert (after.state, len(after.waiting_prompts)) == ("failed", 1)
    assert after.failure is not None
    assert (await room.commands.retry(view.id, ada)).state == "routing"


async def test_a_merge_that_never_ends_fails_aloud(room: Room, ada: Person, redis_url: str) -> None:
    view = await room.running(ada)
    opened = e.PullRequestOpened(
        number=7, url="u", branch="b", base="main", head_sha="s", title="t", draft=False, author="ada"
    )
    await room.log.record(view.id, lambda _: [opened])
    await room.finish(view.id)
    approval_id = await room.ask(view.id, "merge", blocking=False)
    await room.commands.approve(view.id, approval_id, ada)
    for _ in range(4):
        await flush(redis_url)
        await room.reconciler.sweep()
    after = await room.log.view(view.id)
    approval = after.approval(approval_id)
    assert approval is not None
    assert approval.state == "voided"
    assert after.failure is not None


async def test_a_stop_that_its_worker_did_not_live_to_see_is_carried_out(room: Room, ada: Person) -> None:
    view = await room.running(ada)
    lease = await room.leases.acquire(view.id, "doomed")
    assert lease is not None
    await room.commands.stop(view.id, ada)
    await room.reconciler.sweep()
    assert (await room.log.view(view.id)).state == "running"
    # It looks again when the lease would have run out.
    await room.leases.release(lease)
    await room.database.execute("UPDATE sessions SET drive_at = ? WHERE id = ?", view.created_at, view.id)
    await room.reconciler.sweep()
    assert (await room.log.view(view.id)).state == "stopped"


async def test_a_paused_turn_is_given_time(room: Room, ada: Person, redis_url: str) -> None:
    view = await room.running(ada)
    await room.log.record(view.id, lambda _: [e.TurnPaused(turn_id="t", cause="the model is down")])
    await flush(redis_url)
    assert await room.reconciler.sweep() == 0
    long_ago = "UPDATE sessions SET drive_at = ? WHERE id = ?"
    await room.database.execute(long_ago, view.created_at, view.id)
    assert await room.reconciler.sweep() == 0


async def test_rows_that_decline_leave_the_head(room: Room, ada: Person, redis_url: str) -> None:
    busy = [await room.queued(ada) for _ in range(3)]
    lost = await room.queued(ada)
    await flush(redis_url)
    for view in busy:
        assert await room.leases.acquire(view.id, "worker") is not None
    assert await room.reconciler.sweep() == 1
    rows = await room.database.rows("SELECT id FROM sessions ORDER BY drive_at")
    assert lost.id in [row["id"] for row in rows]
    assert await room.queue.status("run_turn", lost.id, 1) == "queued"


async def test_a_session_that_cannot_be_read_does_not_hold_up_the_others(
    room: Room, ada: Person, redis_url: str
) -> None:
    unreadable = await room.queued(ada)
    readable = await room.queued(ada)
    await room.database.execute(
        "UPDATE events SET type = 'FromTheFuture' WHERE session_id = ? AND seq = 3", unreadable.id
    )
    await flush(redis_url)
    async with Pulse(None) as pulse:
        log = Log(room.database, pulse)
        reconciler = Reconciler(room.database, log, room.leases, room.queue, grace_seconds=0.0)
        assert await reconciler.sweep() == 1
    assert await room.queue.status("run_turn", readable.id, 1) == "queued"


async def test_without_redis_nothing_is_counted(database: Database, ada: Person, room: Room) -> None:
    view = await room.running(ada)
    async with Pulse(None) as pulse, Queue("redis://127.0.0.1:1/0") as dead:
        reconciler = Reconciler(database, Log(database, pulse), room.leases, dead, grace_seconds=0.0)
        for _ in range(5):
            assert await reconciler.sweep() == 0
    assert (await room.log.view(view.id)).state == "running"


async def test_it_runs_on_its_own(room: Room, ada: Person, redis_url: str) -> None:
    view = await room.queued(ada)
    await flush(redis_url)
    reconciler = Reconciler(room.database, room.log, room.leases, room.queue, grace_seconds=0.02)
    running = asyncio.create_task(reconciler.run())

    async def in_line() -> bool:
        return await room.queue.status("run_turn", view.id, 1) == "queued"

    try:
        assert await eventually(in_line)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
