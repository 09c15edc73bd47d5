"""What `bellhop audit verify`, `bellhop stop --all` and `bellhop resume` do and say."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.audit_command import audit_verify, grant_role
from deploy.secret_key import secret_key
from deploy.stop_command import operator, resume, stop_all
from session.anchors import Anchors
from session.audit import Audit, AuditEntry
from session.database import Database
from session.halt import KillSwitch
from session.settings import Settings
from tests.provision.databases import tables_at

ENTRY = AuditEntry(actor="broker", action="forge.publish", target="acme/billing", outcome="done")


def embedded(home: Path) -> Settings:
    return Settings.load({"BELLHOP_HOME": str(home)})


async def anchored(settings: Settings, rows: int) -> None:
    """So many rows more, and an anchor by the broker's key."""
    async with await Database.open(await tables_at(settings.database_address)) as database:
        audit = Audit(database)
        for _ in range(rows):
            await audit.write(ENTRY)
        await Anchors(audit, settings.anchors_file, secret_key(settings).encode()).anchor()


async def change(settings: Settings, *statements: str) -> None:
    async with await Database.open(settings.database_address) as database:
        for statement in statements:
            await database.execute(statement)


async def test_an_audit_that_is_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = embedded(tmp_path)
    await anchored(settings, 3)
    assert await audit_verify(settings) == 0
    whole, vouched = capsys.readouterr().out.splitlines()
    assert whole == "The audit is whole: 3 rows, each chained to the one before."
    assert vouched.startswith("Anchors vouch for it until ")


async def test_an_audit_that_nobody_vouches_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert await audit_verify(embedded(tmp_path)) == 0
    said = capsys.readouterr().out
    assert "0 rows" in said
    assert "rows cut from the end are not missed" in said
    assert "Without the broker's SECRET_KEY" in said


async def test_the_first_bad_row_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = embedded(tmp_path)
    await anchored(settings, 4)
    await change(
        settings, "DROP TRIGGER audit_no_update", "UPDATE audit SET outcome = 'refused' WHERE id IN (2, 3)"
    )
    assert await audit_verify(settings) == 1
    said = capsys.readouterr().out
    assert said.startswith("The audit was changed. First bad row: 2. There row 2 was edited")


async def test_an_anchor_of_another_key_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = embedded(tmp_path)
    await anchored(settings, 1)
    (tmp_path / "secret.key").write_text("another key, of thirty-two letters or more\n")
    assert await audit_verify(settings) == 1
    assert "line 2 was edited, or signed with a key that is not the broker's" in capsys.readouterr().out


async def test_everything_is_stopped_and_goes_on_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = embedded(tmp_path)
    assert await stop_all(settings, "a key leaked") == 0
    assert capsys.readouterr().out.startswith("All work is stopped: 0 turns, and every box.")
    async with await Database.open(settings.database_address) as database:
        halt = await KillSwitch(database).halt()
        assert halt is not None
        assert (halt.by, halt.reason) == (operator().name, "a key leaked")
    assert await resume(settings) == 0
    assert await resume(settings) == 0
    assert capsys.readouterr().out.splitlines() == [
        "Work goes on; what waited is taken up within seconds.",
        "Nothing was stopped.",
    ]
    async with await Database.open(settings.database_address) as database:
        actions = [row.entry.action for row in await Audit(database).page(None, 5)]
    assert actions == ["halt.release", "halt.engage"]


async def test_a_role_needs_postgres(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert await grant_role(embedded(tmp_path), "bellhop_app") == 1
    assert "Only PostgreSQL has roles" in capsys.readouterr().out
