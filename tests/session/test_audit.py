"""The audit: added to only, in groups, by several processes; nobody's to change but its owner's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest
from tortoise.exceptions import BaseORMException

from session.audit import GENESIS, Audit, AuditDown, AuditEntry
from session.audit_check import verify
from session.database import Database, DatabaseDown
from session.roles import RoleRefused, grant
from tests.provision import places, processes
from tests.provision.forks import run_program
from tests.provision.postgres import PostgresServer, reachable_parent

NO_ANCHORS = Path("/nowhere")
CHANGES = ("UPDATE audit SET target = 'elsewhere' WHERE id = 1", "DELETE FROM audit WHERE id = 2")

WRITER = """
import asyncio, sys
from session.audit import Audit, AuditEntry
from session.database import Database

async def main(url, name, number):
    async with await Database.open(url) as database:
        audit = Audit(database)
        for batch in range(int(number)):
            entry = AuditEntry(actor=name, action="test.write", target=str(batch), outcome="done")
            await asyncio.gather(*(audit.write(entry) for _ in range(1 + batch % 2 * 8)))

asyncio.run(main(*sys.argv[1:]))
"""


def entry(target: str = "somewhere", action: str = "egress.request", session_id: str = "s1") -> AuditEntry:
    return AuditEntry(
        actor="box bellhop-s1",
        action=action,
        target=target,
        outcome="allowed",
        session_id=session_id,
        detail={"method": "GET"},
    )


@pytest.fixture
def audit(database: Database) -> Audit:
    """An empty audit."""
    return Audit(database)


async def written(audit: Audit, number: int) -> None:
    """So many rows more."""
    for n in range(number):
        await audit.write(entry(f"target {n}"))


async def test_rows_are_chained_from_one(audit: Audit) -> None:
    first = await audit.write(entry("a"))
    second = await audit.write(entry("b"))
    assert (first.id, first.previous) == (1, GENESIS)
    assert (second.id, second.previous) == (2, first.hash)
    assert await audit.head() == second
    assert await audit.page(None, 10) == [second, first]


async def test_pages_go_back_and_can_be_narrowed(audit: Audit) -> None:
    await written(audit, 3)
    await audit.write(entry("pushed", "forge.publish", "s2"))
    await audit.write(entry("asked", "forge_x.publish", "s2"))
    assert [row.id for row in await audit.page(None, 2)] == [5, 4]
    assert [row.id for row in await audit.page(4, 2)] == [3, 2]
    assert [row.id for row in await audit.page(None, 10, session_id="s2")] == [5, 4]
    assert [row.id for row in await audit.page(None, 10, action="forge.publish")] == [4]
    assert [row.id for row in await audit.page(None, 10, action="forge")] == [4]
    assert await audit.page(None, 10, session_id="s2", action="egress") == []


async def _refuses(database: Database, *statements: str) -> None:
    audit = Audit(database)
    await written(audit, 2)
    for statement in statements:
        with pytest.raises((BaseORMException, asyncpg.RaiseError), match="only ever added"):
            await database.execute(statement)
    assert [row.entry.target for row in await audit.page(None, 5)] == ["target 1", "target 0"]


@pytest.mark.databases("sqlite")
async def test_sqlite_refuses_every_change(database: Database) -> None:
    replace = (
        "REPLACE INTO audit SELECT id, at, 'nobody', action, session_id, target, outcome, detail, previous, "
        "hash FROM audit WHERE id = 1"
    )
    await _refuses(database, *CHANGES, "DELETE FROM audit", replace)


@pytest.mark.databases("postgres")
async def test_postgres_refuses_every_change(database: Database) -> None:
    await _refuses(
        database, *CHANGES, "DELETE FROM audit", "DELETE FROM audit WHERE id = 99", "TRUNCATE audit"
    )


async def test_two_hundred_at_once_share_commits_and_stay_in_order(audit: Audit, database: Database) -> None:
    rows = await asyncio.gather(*(audit.write(entry(f"t{n}")) for n in range(200)))
    assert [row.id for row in rows] == list(range(1, 201))
    assert [row.entry.target for row in rows] == [f"t{n}" for n in range(200)]
    # One transaction takes its time once: all that share a commit share it.
    assert len({row.at for row in rows}) <= 2
    assert (await verify(audit, NO_ANCHORS)).ok


async def test_a_cancelled_writer_leaves_the_others_theirs(audit: Audit) -> None:
    tasks = [asyncio.create_task(audit.write(entry(f"t{n}"))) for n in range(20)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    await audit.aclose()
    assert all(isinstance(result, asyncio.CancelledError) for result in results[::2])
    rows = await audit.page(None, 100)
    assert {row.entry.target for row in rows} == {f"t{n}" for n in range(20)}
    for result in results[1::2]:
        assert result in rows
    assert (await verify(audit, NO_ANCHORS)).ok
    assert (await audit.write(entry("later"))).id == 21


async def test_what_a_database_cannot_keep_takes_no_other_entry_with_it(audit: Audit) -> None:
    strange = AuditEntry(
        actor="box \0", action="egress.request", target="/\0path", outcome="refused", detail={"\0": "a\0b"}
    )
    rows = await asyncio.gather(audit.write(entry("a")), audit.write(strange), audit.write(entry("b")))
    assert list(rows) == (await audit.page(None, 3))[::-1]
    assert (await verify(audit, NO_ANCHORS)).ok


async def test_three_processes_make_one_chain(audit: Audit, database_url: str) -> None:
    processes = (run_program(WRITER, database_url, name, "12") for name in ("one", "two", "three"))
    await asyncio.gather(*processes, written(audit, 20))
    verdict = await verify(audit, NO_ANCHORS)
    assert verdict.ok
    assert verdict.rows == 3 * 60 + 20
    actors = [row.entry.actor for row in await audit.page(None, 1000)]
    assert {name: actors.count(name) for name in ("one", "two", "three")} == dict.fromkeys(
        ("one", "two", "three"), 60
    )


@pytest.mark.needs("postgres")
async def test_without_a_database_nothing_is_on_record(tmp_path: Path) -> None:
    with processes.private_directory(reachable_parent(places.CACHE / "postgres")) as directory:
        server = PostgresServer(directory)
        server.start()
        try:
            async with await Database.open(server.create_database()) as database:
                await database.migrate()
                audit = Audit(database)
                await written(audit, 1)
                server.kill()
                down = await asyncio.gather(*(audit.write(entry()) for _ in range(3)), return_exceptions=True)
                assert [type(error) for error in down] == [AuditDown] * 3
                server.start()
                assert (await audit.write(entry())).id == 2
        finally:
            server.stop()


async def test_an_audit_out_of_reach_is_down_and_comes_back(database_url: str) -> None:
    async with await Database.open(database_url) as database:
        await database.migrate()
        audit = Audit(database)
        await written(audit, 1)
        await database.execute("ALTER TABLE audit RENAME TO audit_away")
        down = await asyncio.gather(*(audit.write(entry()) for _ in range(3)), return_exceptions=True)
        assert [type(error) for error in down] == [AuditDown] * 3
        for reading in (audit.head(), audit.after(0, 10)):
            with pytest.raises(DatabaseDown, match="the audit cannot be read"):
                await reading
        await database.execute("ALTER TABLE audit_away RENAME TO audit")
        assert (await audit.write(entry())).id == 2


@asynccontextmanager
async def application(url: str) -> AsyncIterator[Database]:
    """The database as the application's role sees it."""
    address, _, name = url.rpartition("/")
    async with await Database.open(f"{address.replace('bellhop@', 'bellhop_app@')}/{name}") as database:
        yield database


@pytest.fixture
async def owner(postgres_database: str) -> AsyncIterator[Database]:
    """A new database as its owner sees it, with the application's role beside it."""
    async with await Database.open(postgres_database) as database:
        await database.execute(
            "DO $$ BEGIN CREATE ROLE bellhop_app LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$"
        )
        yield database


async def test_the_applications_role_cannot_change_the_audit(owner: Database, postgres_database: str) -> None:
    await owner.migrate()
    await grant(owner, "bellhop_app")
    async with application(postgres_database) as database:
        await database.migrate()
        audit = Audit(database)
        await written(audit, 2)
        for statement in (
            "UPDATE audit SET target = 'x'",
            "DELETE FROM audit",
            "TRUNCATE audit",
            "ALTER TABLE audit DISABLE TRIGGER audit_only_added",
            "DROP TRIGGER audit_only_added ON audit",
            "DROP FUNCTION audit_only_added() CASCADE",
            "DROP TABLE audit",
            "SET session_replication_role = replica",
            "UPDATE tortoise_migrations SET name = 'x'",
        ):
            with pytest.raises(BaseORMException, match=r"permission denied|must be owner"):
                await database.execute(statement)
        assert (
            await database.execute("INSERT INTO participants (session_id, person_id) VALUES ('s', 'p')") == 1
        )
        assert await database.execute("DELETE FROM participants") == 1
        assert (await verify(audit, NO_ANCHORS)).rows == 2


async def test_a_role_that_cannot_migrate_says_who_must(owner: Database, postgres_database: str) -> None:
    async with application(postgres_database) as database:
        with pytest.raises(DatabaseDown, match="run `bellhop migrate` with the owner's DATABASE_URL"):
            await database.migrate()


async def test_rights_do_not_bind_the_owner(owner: Database) -> None:
    await owner.migrate()
    with pytest.raises(RoleRefused, match="a role of its own"):
        await grant(owner, "bellhop")
    with pytest.raises(RoleRefused, match="CREATE ROLE"):
        await grant(owner, "nobody_here")
    with pytest.raises(RoleRefused, match="cannot name a role"):
        await grant(owner, 'x"; DROP TABLE audit; --')


@pytest.mark.databases("sqlite")
async def test_only_postgres_has_roles(database: Database) -> None:
    with pytest.raises(RoleRefused, match="PostgreSQL"):
        await grant(database, "bellhop_app")
