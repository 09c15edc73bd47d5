"""The record of what was done is changed by whoever would rather not be on it.

Asset: the audit. Attacker: who has taken over the application, with its role in PostgreSQL; or the database's
superuser. Path: SQL. Control: the application's role may read and add rows and nothing else, a trigger holds
even where rights were given too freely; each row is chained to the one before, heads are signed outside the
database, and `bellhop audit verify` names the first row that is not as it was written.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from deploy.audit_command import audit_verify, grant_role
from session.anchors import Anchors
from session.audit import Audit, AuditEntry, chained, read_row
from session.database import Database
from session.settings import Settings
from tests.attacks.frame import Control, refuted

CONTROLS = (
    Control("session/roles.py", (('f"REVOKE ALL ON audit, tortoise_migrations FROM {role}",', ""),)),
    Control(
        "session/migrations/0002_governance.py",
        (
            ('"CREATE TRIGGER audit_only_added BEFORE UPDATE OR DELETE OR TRUNCATE ON audit "\n', ""),
            ('"FOR EACH STATEMENT EXECUTE FUNCTION audit_only_added()",\n', ""),
            ('    "ALTER TABLE audit ENABLE ALWAYS TRIGGER audit_only_added",\n', ""),
        ),
    ),
    Control(
        "session/audit_check.py",
        (
            ("        if fault is not None:\n            return fault\n", ""),
            ("if (self._anchor.id, self._anchor.hash) != (number, hash_):", "if not number:"),
            ("        if self._anchor is None:\n            return None\n", "        return None\n"),
        ),
    ),
)
PROOF = "test_the_applications_role or test_what_a_superuser"

pytestmark = pytest.mark.needs("postgres")

KEY = "the key of the broker, long enough for everybody"
ROWS = 8
GUARD_OFF = "ALTER TABLE audit DISABLE TRIGGER ALL"
REPLACE = (
    "INSERT INTO audit SELECT id, at, 'nobody', action, session_id, target, outcome, detail, previous, hash "
    "FROM audit WHERE id = 3 ON CONFLICT (id) DO UPDATE SET actor = excluded.actor"
)
ROLES_CHANGES = (
    "UPDATE audit SET target = 'elsewhere' WHERE id = 3",
    "DELETE FROM audit WHERE id = 3",
    "DELETE FROM audit",
    "TRUNCATE audit",
    REPLACE,
    "MERGE INTO audit a USING (SELECT 3 AS n) x ON a.id = x.n WHEN MATCHED THEN DELETE",
    "WITH gone AS (DELETE FROM audit WHERE id > 4 RETURNING id) SELECT count(*) FROM gone",
    "SET session_replication_role = replica; DELETE FROM audit WHERE id = 3",
    GUARD_OFF,
    "DROP TRIGGER audit_only_added ON audit",
    "DROP FUNCTION audit_only_added() CASCADE",
    "CREATE OR REPLACE FUNCTION audit_only_added() RETURNS trigger LANGUAGE plpgsql AS "
    "$$ BEGIN RETURN NULL; END $$",
    "CREATE RULE hush AS ON INSERT TO audit DO INSTEAD NOTHING",
    "ALTER TABLE audit RENAME TO audit_of_old",
    "ALTER TABLE audit OWNER TO CURRENT_USER",
    "DROP TABLE audit CASCADE",
    "CREATE TEMPORARY TABLE audit (id bigint); DROP TABLE public.audit",
    "GRANT ALL ON audit TO CURRENT_USER; DELETE FROM audit WHERE id = 3",
    "DELETE FROM tortoise_migrations",
)
SWAP = (
    "UPDATE audit SET id = 99 WHERE id = 3; UPDATE audit SET id = 3 WHERE id = 5; "
    "UPDATE audit SET id = 5 WHERE id = 99"
)
SUPERUSERS_CHANGES = {
    "UPDATE audit SET outcome = 'allowed' WHERE id = 4": 4,
    "DELETE FROM audit WHERE id = 4": 4,
    SWAP: 3,
    "DELETE FROM audit WHERE id > 6": 7,
    "TRUNCATE audit": 1,
}
"""What is done, and the first row that must be named for it."""


@dataclass(frozen=True, slots=True)
class Kept:
    """An installation whose audit has eight rows, anchored after the sixth and the eighth."""

    settings: Settings
    database: Database

    async def rows(self) -> list[tuple[int, str, str]]:
        """Number, what about and hash of each row."""
        found = await self.database.rows("SELECT id, target, hash FROM audit ORDER BY id")
        return [(row["id"], row["target"], row["hash"]) for row in found]

    @asynccontextmanager
    async def tampered(self, statements: str) -> AsyncIterator[None]:
        """What whoever owns the database can do, who takes the guard off first; undone afterwards."""
        await self.database.execute(GUARD_OFF)
        await self.database.execute("CREATE TABLE as_it_was AS SELECT * FROM audit")
        for statement in statements.split("; "):
            await self.database.execute(statement)
        yield
        for statement in (
            "TRUNCATE audit",
            "INSERT INTO audit SELECT * FROM as_it_was",
            "DROP TABLE as_it_was",
        ):
            await self.database.execute(statement)

    async def rechain(self, first: int) -> None:
        """Hashes made anew from that row on, by somebody who has read how."""
        found = await self.database.rows("SELECT * FROM audit WHERE id >= ? ORDER BY id", first - 1)
        previous = found[0]["hash"]
        for row in found[1:]:
            read = read_row(row)
            new = chained(read.id, read.at, read.entry, previous)
            await self.database.execute(
                "UPDATE audit SET previous = ?, hash = ? WHERE id = ?", previous, new, read.id
            )
            previous = new


@pytest.fixture
async def kept(postgres_database: str, tmp_path: Path) -> AsyncIterator[Kept]:
    """The installation, as its owner has it."""
    settings = Settings.load(
        {"BELLHOP_HOME": str(tmp_path), "DATABASE_URL": postgres_database, "SECRET_KEY": KEY}
    )
    async with await Database.open(settings.database_address) as database:
        audit = Audit(database)
        anchors = Anchors(audit, settings.anchors_file, KEY.encode())
        for number in range(1, ROWS + 1):
            entry = AuditEntry(
                actor="box b1", action="egress.request", target=f"row {number}", outcome="refused"
            )
            await audit.write(entry)
            if number in (6, ROWS):
                await anchors.anchor()
        yield Kept(settings, database)


@pytest.fixture
async def role(postgres_database: str) -> AsyncIterator[str]:
    """A new role that may sign in to the server."""
    name = f"app_{secrets.token_hex(4)}"
    owner = await asyncpg.connect(postgres_database)
    await owner.execute(f'CREATE ROLE "{name}" LOGIN')
    try:
        yield name
    finally:
        await owner.execute(f'DROP OWNED BY "{name}"; DROP ROLE "{name}"')
        await owner.close()


async def test_the_applications_role_cannot_change_a_row(
    kept: Kept, role: str, postgres_database: str
) -> None:
    assert await grant_role(kept.settings, role) == 0
    address = urlsplit(postgres_database)
    host = address.netloc.rpartition("@")[2]
    before = await kept.rows()
    application = await asyncpg.connect(urlunsplit(address._replace(netloc=f"{role}@{host}")))
    try:
        for statement in ROLES_CHANGES:
            with suppress(asyncpg.PostgresError):
                await application.execute(statement)
            await application.execute("RESET ALL; DROP TABLE IF EXISTS pg_temp.audit")
            refuted(await kept.rows() == before, f"the application's role did this to the audit: {statement}")
    finally:
        await application.close()
    await Audit(kept.database).write(
        AuditEntry(actor="broker", action="test.write", target="row 9", outcome="done")
    )
    assert await audit_verify(kept.settings) == 0, "the guard and the chain are as they were"


async def test_what_a_superuser_changes_is_named(kept: Kept, capsys: pytest.CaptureFixture[str]) -> None:
    for statements, named in SUPERUSERS_CHANGES.items():
        async with kept.tampered(statements):
            await _verified(kept, capsys, named, statements)
    assert await audit_verify(kept.settings) == 0, "what was changed is put back"
    capsys.readouterr()
    async with kept.tampered("UPDATE audit SET outcome = 'allowed' WHERE id = 4"):
        await kept.rechain(4)
        await _verified(kept, capsys, 6, "a row was edited and the chain made anew")
        # Anchors of their own making do not help: only the broker's key signs.
        kept.settings.anchors_file.unlink()
        await Anchors(Audit(kept.database), kept.settings.anchors_file, b"the superuser's own key").anchor()
        refuted(await audit_verify(kept.settings) == 1, "anchors that the superuser signed were believed")
        assert "signed with a key that is not the broker's" in capsys.readouterr().out


async def _verified(kept: Kept, capsys: pytest.CaptureFixture[str], named: int, what: str) -> None:
    code = await audit_verify(kept.settings)
    said = capsys.readouterr().out
    refuted(code == 1, f"nobody noticed: {what}")
    refuted(f"First bad row: {named}." in said, f"the wrong row was named after {what}: {said}")
