"""The database: migrations at once, several processes, outages, its clock."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from tortoise.context import TortoiseContext
from tortoise.migrations.autodetector import MigrationAutodetector

from session.database import TORTOISE_ORM, Database, DatabaseDown, Transaction
from session.people import Person
from session.snapshots import Snapshots
from tests.provision import places, processes
from tests.provision.forks import run_program
from tests.provision.postgres import PostgresServer, reachable_parent
from tests.session.room import Room

WRITER = """
import asyncio, sys
from session.database import Database
from session.events import NoteAdded
from session.log import Log
from session.pulse import Pulse

async def main(url, session_id, number):
    async with await Database.open(url) as database, Pulse(None) as pulse:
        await database.migrate()
        log = Log(database, pulse)
        for text in range(int(number)):
            if session_id:
                await log.record(session_id, lambda _: [NoteAdded(turn_id="t", text=str(text))])

asyncio.run(main(*sys.argv[1:]))
"""


async def process(url: str, session_id: str = "", number: int = 0) -> None:
    """Another process that migrates and then writes."""
    await run_program(WRITER, url, session_id, str(number))


@pytest.fixture(params=["sqlite", "postgres"])
def empty_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Address of a database without tables."""
    if request.param == "sqlite":
        yield f"sqlite://{tmp_path / 'bellhop.db'}"
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    url = server.create_database()
    yield url
    server.drop_database(url)


async def test_processes_that_start_at_once_migrate_once(empty_database: str) -> None:
    await asyncio.gather(*(process(empty_database) for _ in range(3)))
    async with await Database.open(empty_database) as database:
        await database.migrate()
        assert await database.rows("SELECT * FROM sessions") == []
        names = [row["name"] for row in await database.rows("SELECT name FROM tortoise_migrations")]
        wanted = ["0001_initial", "0002_governance", "0003_images", "0004_snapshots"]
        wanted += ["0005_session_boxes", "0006_hosts", "0007_picks", "0008_preferences"]
        wanted += ["0009_slack_installations", "0010_warm_hints"]
        assert sorted(names) == wanted


async def test_images_and_snapshots_of_an_earlier_version_are_in_no_registry(empty_database: str) -> None:
    async with await Database.open(empty_database) as database:
        await database.migrate()
        # As version 0005 left it.
        for table in ("snapshots", "image_builds"):
            await database.execute(f"ALTER TABLE {table} DROP COLUMN shared")
        newer = ("preferences", "channel_rules", "watched_words", "slack_installations")
        for table in ("hosts", "left_boxes", "saved_work", "picks", "warm_hints", *newer):
            await database.execute(f"DROP TABLE {table}")
        await database.execute("DELETE FROM tortoise_migrations WHERE name >= '0006'")
        await database.execute(
            "INSERT INTO snapshots VALUES ('copy:1', 's1', 'a', 'acme/web', 1, 'c', 2, CURRENT_TIMESTAMP)"
        )
        await database.migrate()
        [kept] = await Snapshots(database).of("s1")
        assert (kept.reference, kept.shared) == ("copy:1", "")


async def test_the_migrations_make_the_tables_that_the_models_say() -> None:
    with TortoiseContext() as context:
        await context.init(TORTOISE_ORM, init_connections=False)
        assert context.apps is not None
        assert await MigrationAutodetector(context.apps, TORTOISE_ORM["apps"]).changes() == []


async def test_several_processes_write_one_log(room: Room, ada: Person, database_url: str) -> None:
    view = await room.opened(ada)
    here = asyncio.create_task(process(database_url, view.id, 20))
    there = asyncio.create_task(process(database_url, view.id, 20))
    for _ in range(20):
        await room.commands.edit_prompt(view.id, view.prompts[0].prompt.id, f"text {_}", ada)
    await asyncio.gather(here, there)
    records = await room.log.read(view.id)
    assert [record.seq for record in records] == list(range(1, view.seq + 61))
    assert (await room.log.view(view.id)).seq == view.seq + 60


async def test_a_transaction_happens_whole_or_not_at_all(database: Database) -> None:
    async def half(transaction: Transaction) -> None:
        await transaction.execute("INSERT INTO participants (session_id, person_id) VALUES (?, ?)", "s", "p")
        raise ValueError("half way")

    with pytest.raises(ValueError, match="half way"):
        await database.run(half)
    assert await database.rows("SELECT * FROM participants") == []


async def test_the_clock_runs_forward_and_knows_its_zone(database: Database) -> None:
    first, second = await database.clock(), await database.clock()
    assert second >= first
    assert first.utcoffset() is not None


async def test_an_insert_tells_how_many_rows_it_made(database: Database) -> None:
    insert = "INSERT INTO participants (session_id, person_id) VALUES (?, ?) ON CONFLICT DO NOTHING"
    assert await database.execute(insert, "s", "p") == 1
    assert await database.execute(insert, "s", "p") == 0
    assert await database.execute("UPDATE participants SET person_id = ? WHERE session_id = ?", "q", "s") == 1
    assert await database.execute("DELETE FROM participants WHERE session_id = ?", "other") == 0


async def test_a_database_that_is_not_there_is_said() -> None:
    with pytest.raises(DatabaseDown):
        await Database.open("postgres://nobody@127.0.0.1:1/nothing")
    with pytest.raises(DatabaseDown):
        await Database.open("sqlite:///proc/nowhere/bellhop.db")


async def test_sqlite_waits_its_turn_and_keeps_what_it_acknowledged(tmp_path: Path) -> None:
    async with await Database.open(f"sqlite://{tmp_path / 'new' / 'bellhop.db'}") as database:
        values = {}
        for pragma in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout"):
            values[pragma] = next(iter((await database.rows(f"PRAGMA {pragma}"))[0].values()))
    assert values == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 15_000}


@pytest.mark.needs("postgres")
async def test_a_killed_postgres_is_said_and_the_room_recovers(tmp_path: Path) -> None:
    with processes.private_directory(reachable_parent(places.CACHE / "postgres")) as directory:
        server = PostgresServer(directory)
        server.start()
        try:
            async with await Database.open(server.create_database()) as database:
                await database.migrate()
                server.kill()
                with pytest.raises(DatabaseDown):
                    await database.clock()
                with pytest.raises(DatabaseDown):
                    await database.run(lambda transaction: transaction.clock())
                server.start()
                assert await database.rows("SELECT * FROM sessions") == []
        finally:
            server.stop()
