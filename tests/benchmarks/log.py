"""The log: durable appends beside bare inserts, a long fold, and how soon a follower in another process sees.

SQLite forces each commit to disk. The private PostgreSQL of the tests does not (fsync=off), neither for us
nor for the bare insert: read its ratio, not its rate.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path

import aiosqlite
import asyncpg

from session import events as e
from session.database import Database
from session.fold import fold
from session.log import Log
from session.people import Origin, Person, Prompt
from session.pulse import Pulse
from tests.benchmarks.report import Report
from tests.provision import places, processes
from tests.provision.postgres import PostgresServer, reachable_parent
from tests.provision.valkey import ValkeyServer

WRITERS = 8
APPENDS = 250
FOLDED = 10_000
FOLLOWED = 200
BODY = "x" * 300
ADA = Person(id="p1", name="Ada")
OPENED = (
    e.SessionOpened(title="Fix it", origin=Origin(platform="slack"), requester=ADA),
    e.PromptQueued(prompt=Prompt(id="1", text="Fix it", author=ADA)),
)


async def run(report: Report) -> None:
    """Measure SQLite, PostgreSQL, the fold and the way to a follower."""
    _fold(report)
    with tempfile.TemporaryDirectory() as name:
        await _database(report, "SQLite", f"sqlite://{name}/bellhop.db", _bare_sqlite(Path(name) / "bare.db"))
    with processes.private_directory(reachable_parent(places.CACHE / "postgres")) as directory:
        server = PostgresServer(directory)
        server.start()
        try:
            url = server.create_database()
            await _database(report, "PostgreSQL", url, _bare_postgres(server.create_database()))
            await _latency(report, url)
        finally:
            server.stop()


async def _rate(work: Callable[[int], Awaitable[None]]) -> float:
    began = time.perf_counter()
    await asyncio.gather(*(work(number) for number in range(WRITERS)))
    return WRITERS * APPENDS / (time.perf_counter() - began)


async def _database(report: Report, name: str, url: str, bare: Callable[[], Awaitable[float]]) -> None:
    async with await Database.open(url) as database, Pulse(None) as pulse:
        await database.migrate()
        log = Log(database, pulse)
        views = [await log.create(f"s{number}", OPENED) for number in range(WRITERS)]

        async def write(number: int) -> None:
            seq = views[number].seq
            for _ in range(APPENDS):
                note = e.NoteAdded(turn_id="t", text=BODY)
                await log.append(views[number].id, [note], expected_seq=seq)
                seq += 1

        async def write_batches(number: int) -> None:
            for _ in range(APPENDS // 5):
                await log.record(views[number].id, lambda _: [e.NoteAdded(turn_id="t", text=BODY)] * 5)

        bare_rate = await bare()
        single = await _rate(write)
        batched = await _rate(write_batches)
    report.add(f"{name}: bare single-row inserts", bare_rate, "inserts/s")
    report.add(f"{name}: appends of one event", single, "events/s")
    report.add(f"{name}: appends of five events", batched, "events/s", at_least=1_000)
    report.add(f"{name}: append beside bare insert", bare_rate / single, "times slower")


def _bare_sqlite(path: Path) -> Callable[[], Awaitable[float]]:
    async def measure() -> float:
        async with aiosqlite.connect(path, isolation_level=None) as connection:
            for pragma in ("journal_mode=WAL", "synchronous=FULL"):
                await connection.execute(f"PRAGMA {pragma}")
            await connection.execute("CREATE TABLE events (id INTEGER PRIMARY KEY, body TEXT)")

            async def write(number: int) -> None:
                for _ in range(APPENDS):
                    await connection.execute("INSERT INTO events (body) VALUES (?)", (BODY,))

            return await _rate(write)

    return measure


def _bare_postgres(url: str) -> Callable[[], Awaitable[float]]:
    async def measure() -> float:
        async with asyncpg.create_pool(url, min_size=WRITERS, max_size=WRITERS) as pool:
            await pool.execute("CREATE TABLE events (id BIGSERIAL PRIMARY KEY, body TEXT)")

            async def write(number: int) -> None:
                for _ in range(APPENDS):
                    await pool.execute("INSERT INTO events (body) VALUES ($1)", BODY)

            return await _rate(write)

    return measure


def _fold(report: Report) -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    events: list[e.Event] = list(OPENED)
    for number in range(FOLDED // 2 - 1):
        call = str(number)
        events.append(e.ToolCalled(turn_id="t", call_id=call, tool="bash", action="running the tests"))
        events.append(e.ToolReturned(turn_id="t", call_id=call, tool="bash", status="ok", output=BODY))
    bodies = [e.encode(event) for event in events]
    began = time.perf_counter()
    records = [e.Recorded("s", seq, at, e.decode(*body)) for seq, body in enumerate(bodies, 1)]
    decoded = time.perf_counter()
    fold(records)
    report.add(f"decode {FOLDED:,} events", decoded - began, "s")
    report.add(f"fold {FOLDED:,} events", time.perf_counter() - decoded, "s", at_most=1.0)


async def _latency(report: Report, url: str) -> None:
    with processes.private_directory(places.CACHE / "valkey") as directory:
        server = ValkeyServer(directory)
        server.start()
        try:
            delays = await _delays(url, server.url)
        finally:
            server.stop()
    centiles = statistics.quantiles(delays, n=100)
    report.add("append to follower elsewhere, p50", centiles[49] * 1000, "ms")
    report.add("append to follower elsewhere, p95", centiles[94] * 1000, "ms", at_most=200)


async def _connected(pulse: Pulse) -> None:
    with pulse.watch() as watch:  # rings once when it begins to hear
        while not pulse.connected:
            await watch.wait(0.1)


async def _delays(url: str, redis_url: str) -> list[float]:
    async with AsyncExitStack() as stack:
        logs = []
        for _ in range(2):
            database = await stack.enter_async_context(await Database.open(url))
            pulse = await stack.enter_async_context(Pulse(redis_url))
            await _connected(pulse)
            logs.append(Log(database, pulse))
        here, there = logs
        view = await here.create("followed", OPENED)
        following = there.follow(view.id)
        for _ in range(view.seq):
            await anext(following)
        delays = []
        for _ in range(FOLLOWED):
            began = time.perf_counter()
            await here.record(view.id, lambda _: [e.NoteAdded(turn_id="t", text=BODY)])
            await anext(following)
            delays.append(time.perf_counter() - began)
        return delays
