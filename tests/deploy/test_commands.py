"""The small commands: migrate, classify, docs."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from deploy.classify_command import Said, classify
from deploy.docs import PAGES
from session.audit import Audit
from session.catalogue import Catalogue
from session.channel_rules import Channel, ChannelRuleBook, read_word
from session.database import Database
from session.directory import Directory
from session.people import Identity
from session.settings import Settings
from tests.deploy.commands import CLASSIFIER, bare_environment, bellhop, run
from tests.emulators.model.emulator import ModelEmulator
from tests.emulators.model.turns import say_json
from tests.provision.places import CHECKOUT


def with_another_repository(environment: dict[str, str]) -> None:
    """Let the catalogue hold acme/web too, so that there is something to choose."""
    with Path(environment["REPOSITORIES_FILE"]).open("a") as catalogue:
        catalogue.write("- {slug: acme/web, forge: local, url: /srv/web.git}\n")


@pytest.mark.databases("postgres")
async def test_migrating_may_be_done_twice_and_by_several_at_once(
    bellhop_home: Path, database_url: str
) -> None:
    environment = {**bare_environment(bellhop_home), "DATABASE_URL": database_url}
    ended = await asyncio.gather(*(bellhop("migrate", environment=environment) for _ in range(2)))
    ended.append(await bellhop("migrate", environment=environment))
    assert [(each.code, each.printed) for each in ended] == [(0, "The database is up to date.\n")] * 3
    async with await Database.open(database_url) as database:
        assert await database.rows("SELECT id FROM sessions") == []


async def test_a_database_that_is_away_is_a_sentence(bellhop_home: Path) -> None:
    away = {**bare_environment(bellhop_home), "DATABASE_URL": "postgres://nobody@127.0.0.1:1/bellhop"}
    ended = await bellhop("migrate", environment=away)
    assert ended.code == 1
    assert ended.complained.startswith("bellhop: PostgreSQL does not answer")


async def test_classify_says_which_repository_and_why(
    whole: dict[str, str], model: ModelEmulator, tmp_path: Path
) -> None:
    with_another_repository(whole)
    whole["DATABASE_URL"] = f"sqlite://{tmp_path / 'bellhop.db'}"
    async with await Database.open(whole["DATABASE_URL"]) as database:
        await database.migrate()
        await database.execute(
            "INSERT INTO picks VALUES ('s1', 'slack', 'T1', 'C1', 'finance', 'half a cent is missing', "
            "'acme/billing', '', CURRENT_TIMESTAMP)"
        )
    model.script(
        CLASSIFIER,
        say_json(
            kind="repository",
            repository="acme/billing",
            confidence=0.93,
            reason="cents are invoices",
            alternatives=["acme/web"],
        ),
    )
    asked = ("classify", "we are off by a cent", "--channel", "#finance", "--explain")
    ended = await bellhop(*asked, environment=whole)
    assert ended.code == 0, ended
    assert "like an earlier pick here: acme/billing for “half a cent is missing”" in ended.printed
    assert ended.printed.splitlines()[0] == "acme/billing"
    assert "because: cents are invoices" in ended.printed
    assert "confidence 0.93" in ended.printed
    assert "acme/web" in ended.printed
    assert "none called #finance is known here" in ended.printed


async def test_classify_applies_the_rules_of_a_channel(
    whole: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    with_another_repository(whole)
    settings = Settings.load(whole)
    async with await Database.open(settings.database_address) as database:
        await database.migrate()
        directory = Directory(database)
        ada = await directory.resolve(Identity(platform="web", workspace="", account="ada", name="Ada"))
        await directory.set_role(ada.id, "admin")
        book = ChannelRuleBook(
            database, directory, Catalogue.load(settings.repositories_file), Audit(database)
        )
        first, second = Channel("slack", "T1", "C1", "Finance"), Channel("slack", "T2", "C2", "finance")
        await book.set_repository(ada, first, "acme/billing", through="web")
        await book.set_repository(ada, second, "acme/web", through="web")
        await book.set_words(ada, first, [read_word("basket=acme/web"), read_word("outage")], through="web")

    async def told(text: str, *where: str, code: int = 0) -> tuple[str, str]:
        assert await classify(settings, Said(text, *where), explain=True) == code
        said = capsys.readouterr()
        return said.out.partition("\n")[0], said.out + said.err

    first_line, said = await told("off by a cent", "c1")
    assert first_line == "acme/billing"
    assert "decided by: rule" in said
    assert "channel: #Finance (slack T1 C1), whose rules hold: repository acme/billing; words " in said
    assert "basket=acme/web" in said
    assert (await told("the basket is off", "C1"))[0] == "acme/web"
    assert (await told("off by a cent", "#finance", "T2"))[0] == "acme/web"
    _, many = await told("off by a cent", "#finance", code=1)
    assert "Several channels are called #finance: " in many
    assert "#Finance (slack T1 C1)" in many
    assert "#finance (slack T2 C2)" in many


async def test_classify_needs_a_model(whole: dict[str, str]) -> None:
    ended = await bellhop("classify", "it is broken", environment={**whole, "OPENAI_API_KEY": ""})
    assert ended.code == 1
    assert ended.complained.startswith("bellhop: OPENAI_API_KEY is missing")


async def test_evaluate_grades_own_cases_over_the_own_catalogue(
    whole: dict[str, str], model: ModelEmulator, tmp_path: Path
) -> None:
    with_another_repository(whole)
    answer = {"kind": "repository", "confidence": 0.9, "reason": "why not", "alternatives": []}
    model.script(CLASSIFIER, say_json(repository="acme/billing", **answer))
    cases = tmp_path / "cases.yaml"
    cases.write_text(
        "- {kind: plain, text: off by a cent, expect: acme/billing}\n"
        "- {kind: plain, text: fix acme/web, expect: acme/billing, step: named}\n"
    )
    ended = await bellhop("evaluate", str(cases), environment=whole)
    assert (ended.code, "2 cases over 2 repositories" in ended.printed) == (1, True), ended
    assert f"{CLASSIFIER} used " in ended.printed
    assert "'fix acme/web': acme/web by named; wanted acme/billing by named" in ended.printed
    refused = await bellhop("evaluate", str(tmp_path / "none.yaml"), environment=whole)
    assert (refused.code, refused.complained.startswith("bellhop: ")) == (1, True)


async def test_the_generated_pages_are_up_to_date() -> None:
    stale = [name for name, page in PAGES.items() if (CHECKOUT / "docs" / name).read_text() != page()]
    ended = await run(["deploy.docs", "--check"], {})
    assert (stale, ended.code) == ([], 0), ended.complained
