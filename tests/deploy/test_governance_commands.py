"""Secrets, the audit and the kill switch from the command line, as operators type it."""

from __future__ import annotations

import asyncio
import os
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from deploy.secret_key import secret_key
from session.anchors import Anchors
from session.audit import Audit, AuditEntry
from session.database import Database
from session.halt import KillSwitch
from session.settings import Settings
from tests.deploy.commands import bare_environment, bellhop
from tests.deploy.examples import DEPLOY

VALUE = b"canary of the command line"
ENTRY = AuditEntry(actor="broker", action="forge.publish", target="acme/billing", outcome="done")


@pytest.fixture
def environment(bellhop_home: Path) -> dict[str, str]:
    """The embedded set-up, in which nothing runs."""
    return bare_environment(bellhop_home)


def contents(directory: Path) -> list[bytes]:
    """Of all files below the directory."""
    return [path.read_bytes() for path in directory.rglob("*") if path.is_file()]


async def test_a_secret_goes_in_and_never_comes_out(environment: dict[str, str]) -> None:
    assert (await bellhop("secrets", "list", environment=environment)).printed == "No secrets are stored.\n"
    stored = await bellhop("secrets", "set", "EXAMPLE_TOKEN", environment=environment, stdin=VALUE)
    assert (stored.code, stored.printed) == (0, "EXAMPLE_TOKEN is stored.\n"), stored
    listed = await bellhop("secrets", "list", environment=environment)
    assert (listed.code, listed.printed) == (0, "EXAMPLE_TOKEN\n")
    rotated = await bellhop("secrets", "rotate", environment=environment)
    assert rotated.code == 0, rotated
    kept = contents(Path(environment["BELLHOP_HOME"]))
    assert kept
    assert not [content for content in kept if VALUE in content]
    gone = [await bellhop("secrets", "delete", "EXAMPLE_TOKEN", environment=environment) for _ in range(2)]
    assert [each.printed for each in gone] == [
        "EXAMPLE_TOKEN is forgotten.\n",
        "There was no secret called EXAMPLE_TOKEN.\n",
    ]


async def test_misuse_of_secrets_is_a_sentence(environment: dict[str, str]) -> None:
    malformed = await bellhop("secrets", "set", "lower case", environment=environment, stdin=VALUE)
    assert malformed.code == 1
    assert malformed.complained.startswith("bellhop: A secret's name is made of capitals")
    nameless = await bellhop("secrets", "set", environment=environment)
    assert nameless.code == 2
    assert "the following arguments are required: NAME" in nameless.complained
    assert (await bellhop("secrets", environment=environment)).code == 2
    apart = {**environment, "DATABASE_URL": "postgres://nobody@127.0.0.1:1/bellhop"}
    away = await bellhop("secrets", "list", environment=apart)
    assert away.code == 1
    assert away.complained.startswith("bellhop: The broker, which holds all credentials, does not answer.")


async def test_an_audit_that_was_changed_is_found(environment: dict[str, str]) -> None:
    settings = Settings.load(environment)
    async with await Database.open(settings.database_address) as database:
        await database.migrate()
        audit = Audit(database)
        for _ in range(3):
            await audit.write(ENTRY)
        await Anchors(audit, settings.anchors_file, secret_key(settings).encode()).anchor()
        whole = await bellhop("audit", "verify", environment=environment)
        assert whole.code == 0, whole
        assert whole.printed.startswith("The audit is whole: 3 rows")
        await database.execute("DROP TRIGGER audit_no_update")
        await database.execute("UPDATE audit SET target = 'acme/web' WHERE id = 2")
    changed = await bellhop("audit", "verify", environment=environment)
    assert changed.code == 1
    assert changed.printed.startswith("The audit was changed. First bad row: 2.")


async def test_the_help_says_what_verifying_needs(environment: dict[str, str]) -> None:
    told = await bellhop("audit", "verify", "--help", environment=environment)
    assert "run it with the broker's environment: without its SECRET_KEY" in " ".join(told.printed.split())
    assert (await bellhop("audit", environment=environment)).code == 2


async def test_everything_is_stopped_and_goes_on(environment: dict[str, str]) -> None:
    vague = await bellhop("stop", environment=environment)
    assert vague.code == 2
    assert "--all" in vague.complained
    stopped = await bellhop("stop", "--all", "--reason", "a key leaked", environment=environment)
    assert stopped.code == 0, stopped
    async with await Database.open(Settings.load(environment).database_address) as database:
        halt = await KillSwitch(database).halt()
        assert halt is not None
        assert halt.reason == "a key leaked"
        resumed = await bellhop("resume", environment=environment)
        assert resumed.printed.startswith("Work goes on")
        assert not await KillSwitch(database).halted()


@pytest.mark.databases("postgres")
async def test_the_applications_role_is_made_and_given_its_rights(
    environment: dict[str, str], database_url: str
) -> None:
    owner = urlsplit(database_url)
    known = {
        "PATH": os.environ["PATH"],
        "PGHOST": owner.hostname or "",
        "PGPORT": str(owner.port),
        "POSTGRES_USER": owner.username or "",
        "POSTGRES_DB": owner.path[1:],
        "APPLICATION_PASSWORD": 'it\'s; a "password"',
    }
    script = ["sh", str(DEPLOY / "application_role.sh")]
    for _ in range(2):
        await asyncio.to_thread(subprocess.run, script, env=known, check=True, capture_output=True)
    given = {**environment, "DATABASE_URL": database_url}
    migrated = await bellhop("migrate", "--role", "bellhop_app", environment=given)
    assert migrated.code == 0, migrated
    assert migrated.printed.splitlines()[1].startswith("bellhop_app may do the application's work")
    unknown = await bellhop("migrate", "--role", "of_nobody", environment=given)
    assert (unknown.code, "CREATE ROLE" in unknown.printed) == (1, True)
    application = {
        **given,
        "DATABASE_URL": f"postgres://bellhop_app@{owner.hostname}:{owner.port}{owner.path}",
    }
    assert (await bellhop("audit", "verify", environment=application)).code == 0
