"""Following: every event once and in order, with a live Redis, a dead one, or none."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable

import pytest

from session import events as e
from session.commands import Commands
from session.database import Database
from session.directory import Directory
from session.follower import Looks
from session.leases import Leases
from session.log import Log
from session.people import Person
from session.pulse import Pulse
from session.queue import Queue
from tests.provision import places, processes
from tests.provision.databases import tables_at
from tests.provision.valkey import ValkeyServer
from tests.session.people import ORIGIN, identity, prompt
from tests.session.room import CATALOGUE, Room, always, eventually

TOTAL = 60


def note(text: str) -> e.NoteAdded:
    return e.NoteAdded(turn_id="t", text=text)


async def first(number: int, events: AsyncGenerator[e.Recorded, None]) -> list[e.Recorded]:
    """The next so many events."""
    seen: list[e.Recorded] = []
    async with contextlib.aclosing(events) as following:
        async for record in following:
            seen.append(record)
            if len(seen) == number:
                break
    return seen


async def write(log: Log, session_id: str, number: int) -> None:
    for text in range(number):
        await log.record(session_id, always(note(str(text))))


async def test_followers_see_all_of_concurrent_writers_once_and_in_order(room: Room, ada: Person) -> None:
    view = await room.opened(ada)
    starts = (0, 1, 2, 0)
    followers = [
        asyncio.create_task(first(TOTAL + view.seq - after, room.log.follow(view.id, after)))
        for after in starts
    ]
    await asyncio.gather(*(write(room.log, view.id, TOTAL // 4) for _ in range(4)))
    async with asyncio.timeout(60):
        seen = await asyncio.gather(*followers)
    for after, records in zip(starts, seen, strict=True):
        assert [record.seq for record in records] == list(range(after + 1, TOTAL + view.seq + 1))


async def test_a_follower_that_asks_beyond_the_end_gets_what_comes_after(room: Room, ada: Person) -> None:
    view = await room.opened(ada)
    ahead = asyncio.create_task(first(1, room.log.follow(view.id, view.seq + 3)))
    behind = asyncio.create_task(first(view.seq + 5, room.log.follow(view.id)))
    await write(room.log, view.id, 5)
    async with asyncio.timeout(60):
        assert [record.seq for record in await ahead] == [view.seq + 4]
        assert [record.seq for record in await behind] == list(range(1, view.seq + 6))


async def test_a_slow_follower_catches_up_from_the_database(room: Room, ada: Person) -> None:
    view = await room.opened(ada)
    slow = room.log.follow(view.id)
    assert (await anext(slow)).seq == 1
    for _ in range(3):  # more than a tail keeps in memory
        await room.log.record(view.id, lambda _: [note("x")] * 200)
    rest = await first(600 + view.seq - 1, slow)
    assert [record.seq for record in rest] == list(range(2, 600 + view.seq + 1))


async def test_a_log_that_cannot_be_read_is_said_to_who_follows(room: Room, ada: Person) -> None:
    view = await room.opened(ada)
    following = room.log.follow(view.id, view.seq)
    waiting = asyncio.ensure_future(anext(following))
    await room.database.execute(
        "INSERT INTO events (session_id, seq, type, body, at) VALUES (?, ?, ?, ?, ?)",
        *(view.id, view.seq + 1, "FromTheFuture", "{}", view.created_at),
    )
    with pytest.raises(e.UnknownEvent, match="FromTheFuture"):
        async with asyncio.timeout(60):
            await waiting


async def second_process(database_url: str, redis_url: str | None) -> tuple[Database, Pulse, Log]:
    """What another process would have of its own. While it hears rings it never looks by itself."""
    database = await Database.open(database_url)
    pulse = await Pulse(redis_url).__aenter__()
    return database, pulse, Log(database, pulse, Looks(unrung=0.1, rung=3600))


async def until(condition: Callable[[], bool]) -> None:
    async def ask() -> bool:
        return condition()

    assert await eventually(ask)


async def test_another_process_hears_by_redis_and_notices_without(database_url: str) -> None:
    with processes.private_directory(places.CACHE / "valkey") as directory:
        server = ValkeyServer(directory)
        server.start()
        here = await second_process(await tables_at(database_url), server.url)
        there = await second_process(database_url, server.url)
        queue = Queue(server.url)
        directory_of_people = Directory(here[0])
        ada = await directory_of_people.resolve(identity("Ada"))
        commands = Commands(here[2], queue, directory_of_people, Leases(here[0]), CATALOGUE)
        try:
            view = await commands.open_session(prompt(ada), ORIGIN)
            await until(lambda: here[1].connected and there[1].connected)
            async with contextlib.aclosing(there[2].follow(view.id)) as following:
                await anext(following)
                await anext(following)
                await write(here[2], view.id, 1)
                assert (await anext(following)).seq == 3
                server.kill()
                await until(lambda: not there[1].connected)
                await write(here[2], view.id, 1)
                assert (await anext(following)).seq == 4
                assert await queue.enqueue("run_turn", view.id, 1) == "unreachable"
                accepted = await commands.add_prompt(view.id, prompt(ada, "still taken"))
                assert len(accepted.view.waiting_prompts) == 2
                server.start()
                await until(lambda: here[1].connected and there[1].connected)
        finally:
            await queue.__aexit__()
            for database, pulse, _ in (here, there):
                await pulse.__aexit__()
                await database.aclose()
            server.stop()


async def test_a_pulse_ends_wherever_it_is_in_sending_a_ring(redis_url: str) -> None:
    async with Pulse(redis_url) as heard, asyncio.timeout(100):
        await until(lambda: heard.connected)
        for turns in range(40):
            with heard.watch("s1") as watch:
                async with Pulse(redis_url) as pulse:
                    await pulse.ring("s1")
                    assert await watch.wait(60)
                    # It has a connection now. The next ring is cut off after so many turns of the loop.
                    await pulse.ring("s1")
                    for _ in range(turns):
                        await asyncio.sleep(0)


async def test_words_in_flight_reach_other_processes(redis_url: str) -> None:
    async with Pulse(redis_url) as worker, Pulse(redis_url) as web:
        await until(lambda: web.connected and worker.connected)
        heard = web.tokens("s1")
        own = worker.tokens("s1")
        waiting = asyncio.gather(anext(heard), anext(own))
        await asyncio.sleep(0)
        await worker.publish_tokens("s2", "t", "not this")
        await worker.publish_tokens("s1", "t", "Hel")
        async with asyncio.timeout(60):
            deltas = await waiting
        assert [(delta.turn_id, delta.text) for delta in deltas] == [("t", "Hel")] * 2
