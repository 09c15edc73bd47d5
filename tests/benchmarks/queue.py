"""The queue beside bare arq: enqueue to start, ten thousand sessions in line, and claims of leases."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable

from arq.worker import Worker, func

from session import events as e
from session.database import Database
from session.leases import Leases
from session.log import Log
from session.people import Origin, Person, Prompt
from session.pulse import Pulse
from session.queue import Queue, connect, deserialize, serialize, worker
from tests.benchmarks.report import Report
from tests.provision import places, processes
from tests.provision.postgres import PostgresServer, reachable_parent
from tests.provision.valkey import ValkeyServer

STARTS = 100
LINE = 10_000
CLAIMERS = 8
CLAIMS = 4_000
SESSIONS = 100


async def run(report: Report) -> None:
    """Measure arq bare, our queue over it, and claims on PostgreSQL."""
    with processes.private_directory(places.CACHE / "valkey") as directory:
        server = ValkeyServer(directory)
        server.start()
        try:
            bare = await _bare_starts(server.url)
            ours = await _starts(server.url)
            report.add("bare arq: enqueue to start, p50", bare * 1000, "ms")
            report.add("enqueue to start, p50", ours * 1000, "ms", at_most=50)
            report.add("start beside bare arq", ours / bare, "times slower")
            await _line(report, server.url)
        finally:
            server.stop()
    with processes.private_directory(reachable_parent(places.CACHE / "postgres")) as directory:
        postgres = PostgresServer(directory)
        postgres.start()
        try:
            await _claims(report, postgres.create_database())
        finally:
            postgres.stop()


async def _measure(enqueue: Callable[[int], Awaitable[object]], started: asyncio.Queue[str]) -> float:
    delays = []
    for number in range(STARTS):
        began = time.perf_counter()
        await enqueue(number)
        await started.get()
        delays.append(time.perf_counter() - began)
    return statistics.median(delays)


async def _starts(url: str) -> float:
    started: asyncio.Queue[str] = asyncio.Queue()
    async with Queue(url) as queue:
        arq = worker(url, {"run_turn": started.put}, concurrency=8, job_timeout_seconds=60)
        running = asyncio.create_task(arq.async_run())
        try:
            return await _measure(lambda number: queue.enqueue("run_turn", "s", number), started)
        finally:
            await arq.close()
            await asyncio.gather(running, return_exceptions=True)


async def _bare_starts(url: str) -> float:
    started: asyncio.Queue[str] = asyncio.Queue()

    async def job(ctx: dict[str, object], name: str) -> None:
        await started.put(name)

    redis = connect(url)
    arq = Worker(
        [func(job, name="job", keep_result=0)],
        queue_name=redis.default_queue_name,
        redis_pool=redis,
        handle_signals=False,
        poll_delay=0.02,
        job_serializer=serialize,
        job_deserializer=deserialize,
    )
    running = asyncio.create_task(arq.async_run())
    try:
        return await _measure(lambda number: redis.enqueue_job("job", "s"), started)
    finally:
        running.cancel()
        await asyncio.gather(running, *arq.tasks.values(), return_exceptions=True)
        await redis.aclose(close_connection_pool=True)


async def _line(report: Report, url: str) -> None:
    order: list[str] = []
    all_ran = asyncio.Event()

    async def job(session_id: str) -> None:
        order.append(session_id)
        if len(order) == LINE:
            all_ran.set()

    async with Queue(url) as queue:
        began = time.perf_counter()
        for start in range(0, LINE, 100):
            batch = range(start, start + 100)
            await asyncio.gather(*(queue.enqueue("run_turn", f"s{number:05}", 1) for number in batch))
        report.add(f"enqueue {LINE:,} sessions", LINE / (time.perf_counter() - began), "jobs/s", at_least=500)
        arq = worker(url, {"run_turn": job}, concurrency=50, job_timeout_seconds=60)
        running = asyncio.create_task(arq.async_run())
        began = time.perf_counter()
        try:
            async with asyncio.timeout(180):
                await all_ran.wait()
        finally:
            await arq.close()
            await asyncio.gather(running, return_exceptions=True)
        report.add(f"start {LINE:,} queued sessions", LINE / (time.perf_counter() - began), "jobs/s")
        report.add("jobs run twice or never", LINE - len(set(order)), "jobs", at_most=0)


async def _claims(report: Report, url: str) -> None:
    ada = Person(id="p1", name="Ada")
    async with await Database.open(url) as database, Pulse(None) as pulse:
        await database.migrate()
        log, leases = Log(database, pulse), Leases(database)
        opened = e.SessionOpened(title="x", origin=Origin(platform="slack"), requester=ada)
        for number in range(SESSIONS):
            queued = e.PromptQueued(prompt=Prompt(id="1", text="x", author=ada))
            await log.create(f"s{number}", [opened, queued])
        won: list[tuple[str, int]] = []

        async def claim(name: str) -> None:
            for attempt in range(CLAIMS // CLAIMERS):
                lease = await leases.acquire(f"s{attempt % SESSIONS}", name)
                if lease is not None:
                    won.append((lease.session_id, lease.epoch))
                    await leases.release(lease)

        began = time.perf_counter()
        await asyncio.gather(*(claim(f"worker-{number}") for number in range(CLAIMERS)))
        seconds = time.perf_counter() - began
    report.add(f"claims by {CLAIMERS} workers", CLAIMS / seconds, "claims/s", at_least=500)
    report.add(f"epochs won twice in {CLAIMS:,} claims", len(won) - len(set(won)), "epochs", at_most=0)
