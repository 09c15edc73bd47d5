"""The queue and the worker that it agrees with."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import redis.asyncio as redis

from session.queue import Handler, JobName, Queue, Regular, deserialize, serialize, worker
from tests.session.room import eventually


async def test_a_job_is_in_line_once_runs_and_may_be_in_line_again(redis_url: str) -> None:
    ran: asyncio.Queue[str] = asyncio.Queue()
    async with Queue(redis_url) as queue:
        assert await queue.enqueue("run_turn", "s1", 1) == "new"
        assert await queue.enqueue("run_turn", "s1", 1) == "known"
        assert await queue.enqueue("run_turn", "s1", 2) == "new"
        assert await queue.depth() == 2
        assert await queue.status("run_turn", "s1", 1) == "queued"
        handlers: dict[JobName, Handler] = {"run_turn": ran.put, "warm_box": ran.put}
        arq = worker(redis_url, handlers, concurrency=2, job_timeout_seconds=100)
        running = asyncio.create_task(arq.async_run())
        try:
            async with asyncio.timeout(60):
                assert [await ran.get(), await ran.get()] == ["s1", "s1"]

            async def gone() -> bool:
                return await queue.status("run_turn", "s1", 1) == "absent"

            assert await eventually(gone)
            assert await queue.enqueue("run_turn", "s1", 1) == "new"
            async with asyncio.timeout(60):
                assert await ran.get() == "s1"
            assert await queue.enqueue("warm_box", "acme/web", 0) == "new"

            async def done() -> bool:
                return await queue.status("warm_box", "acme/web", 0) == "absent"

            async with asyncio.timeout(60):
                assert await ran.get() == "acme/web"
            assert await eventually(done)
            again = await queue.enqueue("warm_box", "acme/web", 0)
            assert again == "known", "whoever types rings once for a while"
        finally:
            await arq.close()
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


async def test_what_is_regular_is_done_when_a_worker_starts_and_by_one_of_them(redis_url: str) -> None:
    done: asyncio.Queue[str] = asyncio.Queue()

    async def look() -> None:
        await done.put("looked")

    arq = worker(
        redis_url,
        {"run_turn": done.put},
        concurrency=2,
        job_timeout_seconds=100,
        regular=[Regular("look", 30, look)],
    )
    (cron,) = list(arq.cron_jobs or [])
    assert (cron.name, cron.minute, cron.unique, cron.max_tries) == ("look", {0, 30}, True, 1)
    running = asyncio.create_task(arq.async_run())
    try:
        async with asyncio.timeout(60):
            assert await done.get() == "looked"
    finally:
        await arq.close()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_a_job_that_fails_is_not_tried_again_by_arq(redis_url: str) -> None:
    tries = 0

    async def fail(session_id: str) -> None:
        nonlocal tries
        tries += 1
        raise ValueError(session_id)

    async with Queue(redis_url) as queue:
        await queue.enqueue("route_session", "s1", 1)
        arq = worker(redis_url, {"route_session": fail}, concurrency=1, job_timeout_seconds=100)
        running = asyncio.create_task(arq.async_run())

        async def gone() -> bool:
            return tries > 0 and await queue.status("route_session", "s1", 1) == "absent"

        try:
            assert await eventually(gone)
        finally:
            await arq.close()
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
    assert tries == 1


async def test_nothing_in_redis_can_run_code_here(redis_url: str) -> None:
    async with Queue(redis_url) as queue, redis.Redis.from_url(redis_url) as client:
        await queue.enqueue("run_turn", "s1", 1)
        body = await client.get("arq:job:run_turn:s1:1")
    assert deserialize(body)["a"] == ["s1"]
    assert serialize(deserialize(body)) == body


async def test_a_dead_redis_is_said_and_never_raised() -> None:
    async with Queue("redis://127.0.0.1:1/0") as queue:
        assert await queue.enqueue("run_turn", "s1", 1) == "unreachable"
        assert await queue.status("run_turn", "s1", 1) == "unreachable"
        assert await queue.depth() is None
        assert "does not answer" in (await queue.check() or "")


async def test_a_live_redis_has_nothing_to_complain_of(redis_url: str) -> None:
    async with Queue(redis_url) as queue:
        assert await queue.check() is None


async def test_a_redis_that_goes_silent_costs_neither_time_nor_a_connection(redis_url: str) -> None:
    async with _way(redis_url, b"EXISTS") as way, Queue(way.address) as queue:
        async with asyncio.timeout(60):
            assert await queue.enqueue("run_turn", "s1", 1) == "unreachable"
        # A connection that was lost would be told of now, as an error.
        gc.collect()


async def test_a_worker_that_ends_has_taken_its_finished_jobs_out_of_line_before(redis_url: str) -> None:
    ran, faults = asyncio.Queue[str](), list[object]()
    asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
    # What arq takes a job out of line with, in a task of its own that outlives the job's when that is ended.
    async with Queue(redis_url) as queue, _way(redis_url, b"ZREM") as way:
        await queue.enqueue("run_turn", "s1", 1)
        arq = worker(way.address, {"run_turn": ran.put}, concurrency=1, job_timeout_seconds=30)
        running = asyncio.create_task(arq.async_run())
        await way.reached.wait()
        jobs = [task for task in (arq.main_task, *arq.tasks.values()) if task is not None]
        ending = asyncio.create_task(arq.close())
        await asyncio.wait(jobs)
        # Whoever does not wait for it has closed the connection by the time that Redis answers somebody else.
        assert await queue.check() is None
        way.opened.set()
        await asyncio.gather(ending, running, return_exceptions=True)
        assert await queue.status("run_turn", "s1", 1) == "absent"
        # A task whose error nobody has seen is told of now.
        gc.collect()
        assert faults == []


@dataclass(frozen=True, slots=True)
class _Way:
    """A way to Redis on which nothing is carried from when it is `reached` by a word until it is `opened`."""

    address: str
    reached: asyncio.Event
    opened: asyncio.Event


@asynccontextmanager
async def _way(redis_url: str, word: bytes) -> AsyncIterator[_Way]:
    """It stops at the first request with that word."""
    server = urlsplit(redis_url)
    reached, opened = asyncio.Event(), asyncio.Event()
    carrying: set[asyncio.Task[None]] = set()

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, to_there = await asyncio.open_connection(server.hostname, server.port)
        try:
            while request := await reader.read(65_536):
                if word in request:
                    reached.set()
                if reached.is_set():
                    await opened.wait()
                to_there.write(request)
                writer.write(await there.read(65_536))
        finally:
            for end in (writer, to_there):
                end.close()
                await end.wait_closed()

    def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(carry(reader, writer))
        carrying.add(task)
        task.add_done_callback(carrying.discard)

    listener = await asyncio.start_server(take, "127.0.0.1")
    async with listener:
        address = f"redis://127.0.0.1:{listener.sockets[0].getsockname()[1]}/0"
        yield _Way(address, reached, opened)
    for task in (left := [*carrying]):
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
