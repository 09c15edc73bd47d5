"""The broker's desk for Slack's workspaces, at a real socket, against the OAuth of the emulated Slack."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlencode

import httpx
import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from sandbox.broker.operations import CALLER, Caller, Part, application
from sandbox.broker.slack_desk import SLACK_KINDS, SlackDesk
from sandbox.broker.slack_oauth import SlackOAuth
from sandbox.broker.socket_server import serving
from sandbox.broker.vault import KeyRing, Vault
from session.audit import Audit
from session.broker import Broker, BrokerRefused
from session.broker_slack import SlackTokens
from session.database import Database
from session.directory import Directory
from session.people import Identity, Person
from session.secret_rows import SecretRows
from session.slack_installations import SlackInstallations
from tests.emulators.slack.emulator import SlackEmulator
from tests.emulators.slack.oauth import Team
from tests.provision.databases import tables_at

REDIRECT = "https://bellhop.example.com/slack/oauth_redirect"
HOME = Team("T0HOME", "Home", "U0HOMEBOT", "xoxb-canary-of-home", "U0ADA", enterprise="E0ORG")
AWAY = Team("T0AWAY", "Away", "U0AWAYBOT", "xoxb-canary-of-away", "U0GRACE")
FORMER, KEY = "the key of this test before this one", "the key of this test that is the newest"


@dataclass(frozen=True, slots=True)
class Side:
    """The broker with its desk, and an admin who may install."""

    slack: SlackEmulator
    database: Database
    file: Path
    tokens: SlackTokens
    app: ASGIApp
    admin: Person

    async def code(self) -> str:
        """What Slack sends back once the admin of `slack.oauth.team` pressed *Allow*."""
        query = {"client_id": self.slack.oauth.client_id, "scope": "chat:write,app_mentions:read"}
        query |= {"redirect_uri": REDIRECT, "state": "s"}
        async with httpx.AsyncClient() as http:
            answer = await http.get(f"{self.slack.base_url}/oauth/v2/authorize?{urlencode(query)}")
        return httpx.URL(answer.headers["location"]).params["code"]

    async def actions(self) -> list[tuple[str, str, str]]:
        """The audit, oldest first."""
        rows = await Audit(self.database).page(None, 50)
        return [(row.entry.action, row.entry.target, row.entry.outcome) for row in reversed(rows)]


@asynccontextmanager
async def side(
    directory: Path, teams: tuple[str, ...] = (), secret: str | None = None
) -> AsyncIterator[Side]:
    """A desk over a new SQLite file. secret: what it takes for the app's, None: the right one."""
    file = directory / "bellhop.db"
    async with AsyncExitStack() as stack:
        slack = await stack.enter_async_context(SlackEmulator())
        slack.oauth.redirect_urls.append(REDIRECT)
        slack.oauth.team = HOME
        database = await stack.enter_async_context(await Database.open(await tables_at(f"sqlite://{file}")))
        directory_of_people = Directory(database)
        desk = SlackDesk(
            SlackOAuth(
                slack.api_url,
                slack.oauth.client_id,
                slack.oauth.client_secret if secret is None else secret,
            ),
            teams,
            Vault(SecretRows(database), KeyRing([FORMER])),
            database,
            directory_of_people,
            Audit(database),
        )
        app = application(desk.operations(), SLACK_KINDS)
        socket = directory / "broker.sock"
        await stack.enter_async_context(serving(app, socket, {}))
        way = await stack.enter_async_context(Broker(socket))
        admin = await directory_of_people.resolve(
            Identity(platform="web", workspace="", account="ada", name="Ada")
        )
        await directory_of_people.set_role(admin.id, "admin")
        yield Side(slack, database, file, SlackTokens(way), app, admin)


async def test_an_install_is_kept_sealed_replaced_and_forgotten(
    bellhop_home: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    async with side(bellhop_home) as here:
        installations, tokens = SlackInstallations(here.database), here.tokens
        codes = [await here.code()]
        home = await tokens.install(codes[0], REDIRECT, here.admin.id)
        assert (home.team_id, home.team_name, home.enterprise_id) == ("T0HOME", "Home", "E0ORG")
        assert (home.bot_user_id, home.scopes) == ("U0HOMEBOT", ("app_mentions:read", "chat:write"))
        assert home.installed_by == here.admin.id
        assert await installations.all() == (home,)
        assert await tokens.token("T0HOME") == "xoxb-canary-of-home"

        # Each is one installation; the same one again has another token.
        here.slack.oauth.team = AWAY
        codes.append(await here.code())
        away = await tokens.install(codes[1], REDIRECT, here.admin.id)
        here.slack.oauth.team = replace(HOME, name="Home again", bot_token="xoxb-canary-of-home-2")
        codes.append(await here.code())
        again = await tokens.install(codes[2], REDIRECT, here.admin.id)
        assert again.installed_at > home.installed_at
        assert await installations.all() == (away, again)
        assert await tokens.token("T0HOME") == "xoxb-canary-of-home-2"
        assert await tokens.token("T0AWAY") == "xoxb-canary-of-away"

        # A newer SECRET_KEY seals them anew, as it does all that lies in the vault.
        newer = Vault(SecretRows(here.database), KeyRing([KEY, FORMER]))
        assert await newer.rotate() == 2
        alone = Vault(SecretRows(here.database), KeyRing([KEY]))
        assert await alone.get("slack:T0AWAY") == "xoxb-canary-of-away"

        # News of the first installation's end come late; those of the second do not.
        await tokens.forget("T0HOME", at=home.installed_at)
        assert await installations.all() == (away, again)
        await tokens.forget("T0HOME", at=again.installed_at + timedelta(seconds=1))
        assert "could not be opened with the present SECRET_KEY" in await tokens.remove(
            "T0AWAY", here.admin.id
        )
        await tokens.forget("T0AWAY")
        assert await installations.all() == ()
        assert await alone.names() == []
        with pytest.raises(BrokerRefused, match="not installed in workspace T0HOME") as gone:
            await tokens.token("T0HOME")
        assert gone.value.kind == "slack_not_installed"
        actions = await here.actions()
        assert actions[:2] == [
            ("slack.install", "T0HOME", "allowed"),
            ("slack.token", "T0HOME", "allowed"),
        ]
        assert actions[-3:] == [
            ("slack.forget", "T0HOME", "allowed"),
            ("slack.remove", "T0AWAY", "allowed"),
            ("slack.uninstall", "T0AWAY", "failed"),
        ]
        kept = b"".join(path.read_bytes() for path in here.file.parent.glob("bellhop.db*"))
    said = caplog.text + "".join(capfd.readouterr())
    assert "HTTP Request: POST" in said, "what httpx says is heard"
    for secret in ("xoxb-canary", here.slack.oauth.client_secret):
        assert secret not in said
        assert secret.encode() not in kept
    assert [code for code in codes if code.encode() in kept] == []


async def test_what_cannot_be_served_is_refused_with_what_to_do(bellhop_home: Path) -> None:
    async with side(bellhop_home, teams=("T0HOME",)) as here:

        async def refused(team: Team, *words: str, redirect_uri: str = REDIRECT, code: str = "") -> None:
            here.slack.oauth.team = team
            with pytest.raises(BrokerRefused) as refusal:
                await here.tokens.install(code or await here.code(), redirect_uri, here.admin.id)
            assert refusal.value.kind == "slack_refused"
            assert [word for word in words if word not in str(refusal.value)] == []

        await refused(replace(HOME, whole_organisation=True), "whole organisation", "choose a workspace")
        await refused(replace(HOME, token_type="user"), "not of the app's bot")
        await refused(replace(HOME, expires_in=43_200), "Switch token rotation off")
        await refused(AWAY, "Away (T0AWAY)", "SLACK_TEAMS")
        await refused(HOME, "does not know this answer", code="guessed")
        await refused(HOME, "Redirect URLs", f"{REDIRECT}/other", redirect_uri=f"{REDIRECT}/other")
        here.slack.oauth.team = HOME
        spent = await here.code()
        await here.tokens.install(spent, REDIRECT, here.admin.id)
        await refused(HOME, "was used before", code=spent)

        stranger = await Directory(here.database, "approver").resolve(
            Identity(platform="web", workspace="", account="grace", name="Grace")
        )
        unspent = await here.code()
        for somebody in (stranger.id, "nobody"):
            with pytest.raises(BrokerRefused, match="Only admins"):
                await here.tokens.install(unspent, REDIRECT, somebody)
        installed = await SlackInstallations(here.database).all()
        assert [installation.team_id for installation in installed] == ["T0HOME"]
        assert await SecretRows(here.database).names() == ["slack:T0HOME"]
        assert ("slack.install", "T0AWAY", "refused") in await here.actions()


async def test_a_wrong_client_and_an_absent_slack_are_told_apart(bellhop_home: Path) -> None:
    for secret, words in (("guessed", "Check SLACK_CLIENT_ID"), ("", "Set SLACK_CLIENT_ID")):
        directory = bellhop_home / (secret or "none")
        directory.mkdir()
        async with side(directory, secret=secret) as here:
            with pytest.raises(BrokerRefused, match=words):
                await here.tokens.install(await here.code(), REDIRECT, here.admin.id)
    async with side(bellhop_home) as here:
        code = await here.code()
        await here.slack.__aexit__(None, None, None)
        with pytest.raises(BrokerRefused, match="did not answer") as away:
            await here.tokens.install(code, REDIRECT, here.admin.id)
        assert away.value.kind == "slack_away"


async def test_a_removed_workspace_is_forgotten_whatever_slack_says(bellhop_home: Path) -> None:
    async with side(bellhop_home) as here:

        async def removed(*words: str) -> None:
            left = await here.tokens.remove("T0HOME", here.admin.id)
            assert [word for word in words if word not in left] == []
            assert bool(left) is left.endswith("“Remove app”.") is bool(words)
            assert await SlackInstallations(here.database).all() == ()
            assert await SecretRows(here.database).names() == []

        async def installed() -> None:
            here.slack.oauth.team = replace(HOME, bot_token=f"xoxb-{len(await here.actions())}")
            await here.tokens.install(await here.code(), REDIRECT, here.admin.id)

        await installed()
        await removed()
        await removed("There was no token")
        await installed()
        secret, here.slack.oauth.client_secret = here.slack.oauth.client_secret, "another by now"
        await removed("does not know the app", "bad_client_secret")
        here.slack.oauth.client_secret = secret
        await installed()
        kept = Vault(SecretRows(here.database), KeyRing([FORMER]))
        await kept.put("slack:T0HOME", "xoxb-ended-long-ago")
        await removed("most likely gone already")
        await installed()
        with pytest.raises(BrokerRefused, match="Only admins"):
            await here.tokens.remove("T0HOME", "nobody")
        await here.slack.__aexit__(None, None, None)
        await removed("Slack did not answer (ConnectError)")
        assert [outcome for action, _, outcome in await here.actions() if action == "slack.uninstall"] == [
            "done",
            *["failed"] * 4,
        ]
        newest = (await Audit(here.database).page(None, 1))[0].entry
        assert (newest.action, newest.detail["why"]) == (
            "slack.uninstall",
            "Slack did not answer (ConnectError).",
        )


@pytest.mark.parametrize(
    ("part", "may"),
    [
        ("bot", {"slack.token", "slack.forget"}),
        ("web", {"slack.install", "slack.remove"}),
        ("worker", set()),
        ("operator", set()),
    ],
)
async def test_each_part_may_ask_for_what_is_its_own(bellhop_home: Path, part: Part, may: set[str]) -> None:
    async with side(bellhop_home) as here:

        async def as_that_part(scope: Scope, receive: Receive, send: Send) -> None:
            await here.app({**scope, CALLER: Caller(1234, frozenset({part}))}, receive, send)

        transport = httpx.ASGITransport(app=as_that_part)
        async with httpx.AsyncClient(transport=transport, base_url="http://broker") as http:
            for operation in ("slack.install", "slack.token", "slack.remove", "slack.forget"):
                answer = await http.post(f"/v1/{operation}", content=b"{}")
                # Nothing is asked: who may ask hears that, the others that they may not.
                assert answer.json()["kind"] == ("malformed" if operation in may else "not_yours")
