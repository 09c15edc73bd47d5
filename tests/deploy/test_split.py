"""Each process is a user of its own: the main job gets done, and only the broker ever holds a credential."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from functools import partial

import httpx
import pytest

from session.database import Database
from tests.deploy.accounts import BOT, BROKER, STRANGER, WEB, WORKER, Account
from tests.deploy.split import ACCOUNTS, Split, split_house
from tests.deploy.traces import held, readable
from tests.emulators.slack.oauth import Team
from tests.journeys.house import AGENT, BILLING
from tests.journeys.steps import WHOLE
from tests.provision.places import CHECKOUT

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root starts processes as other users")

ROLE = "bellhop_split"
OF_CLIENTS = ("GITHUB_CLIENT_SECRET", "SLACK_CLIENT_SECRET")
REDIRECT = "https://bellhop.example.com/slack/oauth_redirect"
ACME = Team("T0ACME", "Acme", "U0BOT", "xoxb-canary-of-acme", "U0ADA")
VAULTED = "canary-" + "f3a9c1d27b58e640"

ASK = """
import asyncio, sys
from pathlib import Path
from session.broker import Broker, BrokerDown, BrokerRefused, Nothing
from session.broker_accounts import StoredSecrets
from session.broker_slack import SlackTokens
from sandbox.broker.presence import who_am_i

async def main(path, what, *words):
    async with Broker(Path(path)) as broker:
        try:
            if what == "who":
                print(*sorted(await who_am_i(broker)))
            elif what == "store":
                await StoredSecrets(broker).set("PLANTED", "x")
            elif what == "install":
                print((await SlackTokens(broker).install(*words)).team_name)
            elif what == "token":
                print(await SlackTokens(broker).token(*words))
            else:
                await broker.call(what, Nothing(), Nothing)
        except BrokerRefused as error:
            print(error.kind)
        except BrokerDown:
            print("cut off")

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.fixture
async def application_url(postgres_database: str) -> str:
    """The address of the database for the application's role."""
    async with await Database.open(postgres_database) as database:
        if not await database.rows("SELECT 1 AS one FROM pg_roles WHERE rolname = ?", ROLE):
            await database.execute(f"CREATE ROLE {ROLE} LOGIN")
    return f"postgres://{ROLE}@{postgres_database.partition('@')[2]}"


@pytest.fixture
async def split(postgres_database: str, application_url: str, redis_url: str) -> AsyncIterator[Split]:
    """A house on PostgreSQL with nothing running yet, and local boxes."""
    async with split_house(postgres_database, application_url, redis_url) as made:
        yield made


def may(account: Account, *words: str) -> bool:
    """Whether the command ends well when that account runs it."""
    return subprocess.run(account.command(*words), capture_output=True, check=False).returncode == 0


def listed(account: Account, *words: str) -> list[str]:
    """The lines that the account's command prints."""
    ended = subprocess.run(account.command(*words), capture_output=True, text=True, check=False)
    return ended.stdout.splitlines()


async def asked(split: Split, account: Account, *what: str) -> str:
    """How the broker answers a process of that account."""
    words = account.command(sys.executable, "-c", ASK, split.values["common"]["BROKER_SOCKET"], *what)
    run = partial(subprocess.run, capture_output=True, text=True, check=True, cwd=CHECKOUT)
    return str((await asyncio.to_thread(run, words)).stdout).strip()


async def test_the_main_job_by_four_users_of_whom_one_holds_credentials(split: Split) -> None:
    # The others are there first: they say what is missing, and wait.
    for name in ("bot", "web", "worker"):
        await split.start(name)
    for program in split.programs.values():
        await program.says('event="no broker"')
    broker = await split.start("broker")
    await broker.says("event=serving")
    for name in ("bot", "web", "worker"):
        await split.programs[name].says('event="the broker answers"')

    stored = await split.command("secrets", "set", "CANARY_TOKEN", stdin=VAULTED.encode())
    assert stored.printed == "CANARY_TOKEN is stored.\n", stored
    assert (await split.command("secrets", "list")).printed == "CANARY_TOKEN\n"

    house = split.house
    await house.slack.wait_for_connection()
    ada, _ = await house.member("Ada"), await house.member("Grace")
    house.model.script(AGENT, *WHOLE)
    thread = await ada.asks("our invoice totals are off by a cent: 2.665 should become 2.67")
    await ada.reacts("white_check_mark", await thread.hears("May I publish this?"))
    answer = await thread.hears("Half a cent is now rounded up.")
    assert "Checks passed on" in answer.shown
    assert house.github.pull(BILLING, 1).author.login == "ada"
    await house.github.merge(BILLING, 1, "grace")
    await thread.hears("Pull request #1 was merged by grace.")
    await thread.card("#1 merged")
    await thread.holds_only("card", "approval", "answer", "notice")

    assert_only_the_broker_holds_credentials(split)
    assert_each_keeps_to_its_places(split)
    verified = await split.command("audit", "verify")
    assert (verified.code, "The audit is whole" in verified.printed) == (0, True), verified


def assert_only_the_broker_holds_credentials(split: Split) -> None:
    """In no other process, and in no file that another user can read, is one of them."""
    secrets = credentials(split)
    for name, program in split.programs.items():
        found = held(program.pid, {**secrets, "DATABASE_URL": split.values["common"]["DATABASE_URL"]})
        assert "DATABASE_URL" in found, f"the search does not see into {name}"
        if name != "broker":
            assert found - {"DATABASE_URL"} == set(), name
    kept = held(split.programs["broker"].pid, secrets)
    assert kept >= {"SECRET_KEY", "OPENAI_API_KEY", "GITHUB_APP_PRIVATE_KEY", *OF_CLIENTS}
    assert any(name.startswith("ghs_") for name in kept)
    assert any(name.startswith("ghu_") for name in kept)
    places = [split.root / name for name in ("state", "run", "etc", "anchors")]
    for name, account in ACCOUNTS.items():
        key = {"GITHUB_APP_PRIVATE_KEY"} if name == "broker" else set()
        assert readable(account, places, secrets) == key, name
    for name, secret in (("bot", "SLACK_BOT_TOKEN"), ("web", "SECRET_KEY")):
        own = {secret: split.values[name][secret]}
        assert [each for each, program in split.programs.items() if held(program.pid, own)] == [name]


def credentials(split: Split) -> dict[str, str]:
    """Everything that only the broker may know, by name."""
    given = split.values["broker"]
    github = split.house.github
    _, *body, _ = github.app.private_key.strip().splitlines()
    tokens = {value[:12]: value for value in [*github.world.tokens, *github.world.refresh_tokens]}
    settings = ("SECRET_KEY", "FORMER_SECRET_KEYS", "OPENAI_API_KEY", *OF_CLIENTS)
    return {
        **{name: given[name] for name in settings},
        "GITHUB_APP_PRIVATE_KEY": body[len(body) // 2],
        "CANARY_TOKEN": VAULTED,
        **tokens,
    }


def assert_each_keeps_to_its_places(split: Split) -> None:
    """The worker reads what the broker fetched and cannot change it; bot and web see nothing of either."""
    state = str(split.state)
    for place in ("forge", "quarantine", "doors"):
        there = f"{state}/{place}"
        assert listed(BROKER, "find", there, "-type", "f"), place
        assert not listed(WORKER, "find", there, "!", "-type", "l", "!", "-type", "s", "-writable"), place
        assert not may(WORKER, "mv", there, f"{there}.moved"), place
    assert listed(WORKER, "find", f"{state}/quarantine", "-name", "*.git")
    assert not may(WORKER, "ls", f"{state}/hooks")
    assert may(WORKER, "mkdir", f"{state}/of-the-worker")
    for account in (BOT, WEB, STRANGER):
        assert not may(account, "ls", state)
        assert not may(account, "ls", f"{state}/forge")
        assert not may(account, "touch", f"{split.root}/run/broker.sock.other")


async def test_in_a_container_with_only_the_worker_at_the_engine(
    postgres_database: str, application_url: str, redis_url: str, docker_host: str, base_image: str
) -> None:
    docker = (docker_host, base_image)
    async with split_house(postgres_database, application_url, redis_url, docker) as split:
        for name in ACCOUNTS:
            await split.start(name)
        await split.programs["broker"].says("event=serving")
        house = split.house
        await house.slack.wait_for_connection()
        ada = await house.member("Ada")
        house.model.script(AGENT, *WHOLE)
        thread = await ada.asks("round half a cent up")
        await ada.reacts("white_check_mark", await thread.hears("May I publish this?", 90))
        await thread.hears("Half a cent is now rounded up.", 90)
        assert house.github.pull(BILLING, 1).author.login == "ada"
        await thread.card("#1 open")
        await thread.holds_only("card", "approval", "answer")
        for account in (BROKER, BOT, WEB):
            assert not may(account, "ls", f"{split.root}/engine")


async def test_the_broker_goes_by_the_user_at_the_other_end(split: Split) -> None:
    await (await split.start("broker")).says("event=serving")
    assert await asked(split, STRANGER, "who") == "cut off"
    assert await asked(split, BOT, "who") == "bot"
    assert await asked(split, WEB, "who") == "web"
    assert await asked(split, WORKER, "who") == "worker"
    for account in (BOT, WEB):
        assert await asked(split, account, "forge.prepare") == "not_yours"
    for account in (BOT, WORKER):
        assert await asked(split, account, "store") == "not_yours"
        assert await asked(split, account, "secret.names") == "not_yours"
    for account in (BOT, WEB, WORKER):
        assert await asked(split, account, "secret.rotate") == "not_yours"
    assert (await split.command("secrets", "list")).printed == "No secrets are stored.\n"


async def test_a_workspace_is_installed_by_the_web_and_its_token_given_to_the_bot_alone(split: Split) -> None:
    await (await split.start("broker")).says("event=serving")
    slack = split.house.slack
    ada = await (await split.house.member("Ada", role="admin")).person()
    slack.oauth.redirect_urls.append(REDIRECT)
    slack.oauth.team = ACME
    query = {
        "client_id": slack.oauth.client_id,
        "scope": "chat:write",
        "redirect_uri": REDIRECT,
        "state": "s",
    }
    async with httpx.AsyncClient(timeout=60) as http:
        back = await http.get(f"{slack.base_url}/oauth/v2/authorize", params=query)
    code = httpx.URL(back.headers["location"]).params["code"]
    for account in (BOT, WORKER):
        assert await asked(split, account, "install", code, REDIRECT, ada.id) == "not_yours"
    assert await asked(split, WEB, "install", code, REDIRECT, ada.id) == "Acme"
    for account in (WEB, WORKER):
        assert await asked(split, account, "token", ACME.id) == "not_yours"
    assert await asked(split, WORKER, "slack.forget") == "not_yours"
    assert await asked(split, BOT, "token", ACME.id) == ACME.bot_token
    places = [split.root / name for name in ("state", "run", "etc", "logs")]
    assert readable(BROKER, places, {"token": ACME.bot_token, "client": slack.oauth.client_secret}) == set()
