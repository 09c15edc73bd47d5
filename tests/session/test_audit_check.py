"""What a superuser changed in the audit is found, and the first bad row named; so are bad anchors."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from session.anchors import Anchors
from session.audit import GENESIS, Audit, chained, read_row
from session.audit_check import Verdict, verify
from session.database import Database
from tests.session.room import eventually
from tests.session.test_audit import NO_ANCHORS, written

SECRET = b"the broker's secret key, long enough for everybody"
SQLITE_TRIGGERS = ("audit_no_update", "audit_no_delete", "audit_no_replace")


@pytest.fixture
def audit(database: Database) -> Audit:
    """An empty audit."""
    return Audit(database)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where anchors are kept."""
    return tmp_path / "kept" / "anchors.jsonl"


@pytest.fixture
def anchors(audit: Audit, file: Path) -> Anchors:
    """Anchors of that audit."""
    return Anchors(audit, file, SECRET)


async def as_superuser(database: Database, *statements: str) -> None:
    """What the guard against changes does not bind: its owner, who takes it off first."""
    if database.postgres:
        await database.execute("ALTER TABLE audit DISABLE TRIGGER audit_only_added")
    else:
        for trigger in SQLITE_TRIGGERS:
            await database.execute(f"DROP TRIGGER IF EXISTS {trigger}")
    for statement in statements:
        await database.execute(statement)


async def rehash(database: Database, first: int, last: int) -> None:
    """Rows with hashes that fit what they say now, and each other."""
    for number in range(first, last + 1):
        rows = await database.rows("SELECT * FROM audit WHERE id = ?", number)
        before = await database.rows("SELECT hash FROM audit WHERE id = ?", number - 1)
        previous = before[0]["hash"] if before else GENESIS
        read = read_row(rows[0])
        await database.execute(
            "UPDATE audit SET previous = ?, hash = ? WHERE id = ?",
            *(previous, chained(number, read.at, read.entry, previous), number),
        )


def named(verdict: Verdict) -> int:
    """The first bad row."""
    assert not verdict.ok
    assert verdict.bad is not None
    assert f"row {verdict.bad.id}" in verdict.bad.why or f"rows {verdict.bad.id}" in verdict.bad.why
    return verdict.bad.id


def lines(file: Path) -> list[str]:
    """The lines of the anchors' file; none where there is no file."""
    return file.read_text().splitlines() if file.exists() else []


def rewrite(file: Path, content: Iterable[str], torn: str = "") -> None:
    """Other lines in the anchors' file, the last of them half written."""
    file.write_text("".join(f"{line}\n" for line in content) + torn)


async def test_an_edited_row_is_named(audit: Audit, database: Database, file: Path) -> None:
    await written(audit, 8)
    await as_superuser(database, "UPDATE audit SET target = 'nowhere' WHERE id >= 5")
    assert named(await verify(audit, file)) == 5


async def test_a_row_that_cannot_be_read_is_named_and_shown(
    audit: Audit, database: Database, file: Path
) -> None:
    await written(audit, 3)
    await as_superuser(database, "UPDATE audit SET outcome = 'fine' WHERE id = 2")
    assert named(await verify(audit, file)) == 2
    assert [row.entry.action for row in await audit.page(None, 3)] == [
        "egress.request",
        "audit.unreadable",
        "egress.request",
    ]


async def test_an_edited_row_with_a_new_hash_is_named(audit: Audit, database: Database, file: Path) -> None:
    await written(audit, 8)
    await as_superuser(database, "UPDATE audit SET target = 'nowhere' WHERE id = 5")
    await rehash(database, 5, 5)
    assert named(await verify(audit, file)) == 5


async def test_a_deleted_row_is_named(audit: Audit, database: Database, file: Path) -> None:
    await written(audit, 8)
    await as_superuser(database, "DELETE FROM audit WHERE id IN (3, 4)")
    assert named(await verify(audit, file)) == 3


async def test_the_first_rows_deleted_are_named(audit: Audit, database: Database, file: Path) -> None:
    await written(audit, 4)
    await as_superuser(database, "DELETE FROM audit WHERE id = 1")
    assert named(await verify(audit, file)) == 1


async def test_rows_in_each_others_place_are_named(audit: Audit, database: Database, file: Path) -> None:
    await written(audit, 8)
    await as_superuser(
        database,
        "UPDATE audit SET id = 99 WHERE id = 3",
        "UPDATE audit SET id = 3 WHERE id = 6",
        "UPDATE audit SET id = 6 WHERE id = 99",
    )
    assert named(await verify(audit, file)) == 3


async def test_rows_cut_from_the_end_are_missed_by_the_anchor(
    audit: Audit, anchors: Anchors, database: Database, file: Path
) -> None:
    await written(audit, 6)
    await anchors.anchor()
    await as_superuser(database, "DELETE FROM audit WHERE id > 4")
    verdict = await verify(audit, file, [SECRET])
    assert named(verdict) == 5
    assert "rows 5 to 6 are gone" in (verdict.bad.why if verdict.bad else "")


async def test_all_rows_gone_are_missed(
    audit: Audit, anchors: Anchors, database: Database, file: Path
) -> None:
    await written(audit, 2)
    await anchors.anchor()
    await as_superuser(database, "TRUNCATE audit" if database.postgres else "DELETE FROM audit")
    assert named(await verify(audit, file, [SECRET])) == 1


async def test_a_chain_made_anew_is_found_at_the_next_anchor(
    audit: Audit, anchors: Anchors, database: Database, file: Path
) -> None:
    await written(audit, 4)
    anchored = await anchors.anchor()
    await written(audit, 4)
    await anchors.anchor()
    await as_superuser(database, "UPDATE audit SET target = 'nowhere' WHERE id = 6")
    await rehash(database, 6, 8)
    assert (await verify(audit, NO_ANCHORS)).ok, "the chain alone cannot know"
    verdict = await verify(audit, file, [SECRET])
    assert named(verdict) == 8
    assert "after row 4" in (verdict.bad.why if verdict.bad else "")
    assert anchored is not None
    assert verdict.anchored_until == anchored.at


async def test_rows_cut_and_grown_again_are_found(
    audit: Audit, anchors: Anchors, database: Database, file: Path
) -> None:
    await written(audit, 6)
    await anchors.anchor()
    await as_superuser(database, "DELETE FROM audit WHERE id > 2")
    await written(audit, 2)
    await anchors.anchor()
    await written(audit, 4)
    assert named(await verify(audit, file, [SECRET])) == 6


async def test_a_head_is_anchored_once(audit: Audit, anchors: Anchors, file: Path) -> None:
    assert await anchors.anchor() is None
    assert lines(file) == []
    await written(audit, 2)
    first = await anchors.anchor()
    assert first is not None
    assert await anchors.anchor() is None
    await written(audit, 1)
    second = await Anchors(audit, file, SECRET).anchor()
    assert second is not None
    assert (second.id, second.previous) == (3, first.signature)
    assert [set(json.loads(line)) == {"key"} for line in lines(file)] == [True, False, False]
    assert os.stat(file).st_mode & 0o777 == 0o640
    for trusted in ([SECRET], []):
        verdict = await verify(audit, file, trusted)
        assert verdict.ok
        assert verdict.anchored_until == second.at


async def test_anchors_go_on_after_a_new_secret_key(audit: Audit, anchors: Anchors, file: Path) -> None:
    await written(audit, 1)
    await anchors.anchor()
    await written(audit, 1)
    await Anchors(audit, file, b"the next key").anchor()
    assert (await verify(audit, file, [b"the next key", SECRET])).ok
    assert (await verify(audit, file)).ok
    assert (await verify(audit, file, [b"the next key"])).bad_anchors == (
        "line 2 was edited, or signed with a key that is not the broker's",
        "an anchor before line 4 is missing",
    )


def _edited(lines: list[str]) -> list[str]:
    anchor = json.loads(lines[2])
    return [*lines[:2], json.dumps({**anchor, "hash": "0" * 64}), *lines[3:]]


def _missing(lines: list[str]) -> list[str]:
    return [*lines[:2], *lines[3:]]


def _garbled(lines: list[str]) -> list[str]:
    return [*lines[:2], lines[2][:40], *lines[3:]]


@pytest.mark.parametrize("tamper", [_edited, _missing, _garbled])
async def test_tampered_anchors_are_said(
    audit: Audit, anchors: Anchors, file: Path, tamper: Callable[[list[str]], list[str]]
) -> None:
    for _ in range(3):
        await written(audit, 1)
        await anchors.anchor()
    rewrite(file, tamper(lines(file)))
    verdict = await verify(audit, file, [SECRET])
    assert not verdict.ok
    assert verdict.bad is None
    assert any("line 3 was edited" in said or "missing" in said for said in verdict.bad_anchors)


async def test_anchors_of_a_made_up_key_do_not_count(audit: Audit, file: Path) -> None:
    await written(audit, 2)
    await Anchors(audit, file, b"an attacker's key").anchor()
    verdict = await verify(audit, file, [SECRET])
    assert not verdict.ok
    assert verdict.anchored_until is None


async def test_a_line_torn_by_a_power_cut_is_passed_over(audit: Audit, anchors: Anchors, file: Path) -> None:
    await written(audit, 1)
    await anchors.anchor()
    rewrite(file, lines(file), torn='{"id": 2, "hash": "3f')
    await written(audit, 1)
    await anchors.anchor()
    verdict = await verify(audit, file, [SECRET])
    assert verdict.ok
    assert verdict.rows == 2


async def test_anchoring_goes_on_by_itself(audit: Audit, anchors: Anchors, file: Path) -> None:
    await written(audit, 1)

    async def anchored(number: int) -> bool:
        verdict = await verify(audit, file, [SECRET])
        return verdict.anchored_until is not None and len(lines(file)) == number + 1

    running = asyncio.create_task(anchors.run(every_seconds=0.01))
    try:
        await eventually(lambda: anchored(1))
        await written(audit, 1)
        await eventually(lambda: anchored(2))
    finally:
        running.cancel()
    assert (await verify(audit, file, [SECRET])).ok
