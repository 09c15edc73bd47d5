"""The bot and the broker as processes of their own: workspaces are served as admins add the app to them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlencode

import httpx
import pytest

from deploy import wiring
from deploy.presence import look_for_broker
from session.audit import Audit
from session.broker import Broker, BrokerRefused
from session.broker_slack import SlackTokens
from session.database import Database
from session.directory import Directory
from session.people import Identity
from session.settings import Settings
from session.slack_installations import SlackInstallations
from tests.emulators.slack.emulator import SlackEmulator
from tests.emulators.slack.oauth import Team
from tests.emulators.slack.workspace import SECOND_TEAM_ID, TEAM_ID
from tests.provision.processes import free_port

REDIRECT = "https://bellhop.example.com/slack/oauth_redirect"
FINDING = "Finding the repository"


async def code_for(slack: SlackEmulator, door: SlackEmulator) -> str:
    """What Slack sends back once an admin of `slack` has pressed *Allow*; `door` is where Slack is."""
    workspace = slack.workspace
    door.oauth.team = Team(workspace.team_id, "Acme", workspace.bot.id, slack.bot_token, "U0ADMIN")
    query = {"client_id": door.oauth.client_id, "scope": "chat:write", "redirect_uri": REDIRECT, "state": "s"}
    async with httpx.AsyncClient(timeout=60) as http:
        answer = await http.get(f"{door.base_url}/oauth/v2/authorize?{urlencode(query)}")
    return httpx.URL(answer.headers["location"]).params["code"]


@asynccontextmanager
async def processes(settings: Settings) -> AsyncIterator[tuple[Database, SlackTokens, str]]:
    """The broker runs; with the database, the way to its tokens, and the id of an admin."""
    serving = asyncio.create_task(wiring.broker(settings))
    try:
        async with Broker(settings.broker_address) as way:
            await asyncio.wait_for(look_for_broker(way, "web"), 60)
            async with await Database.open(settings.database_address) as database:
                directory = Directory(database)
                ada = await directory.resolve(
                    Identity(platform="web", workspace="", account="ada", name="Ada")
                )
                await directory.set_role(ada.id, "admin")
                yield database, SlackTokens(way), ada.id
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


@asynccontextmanager
async def served(settings: Settings, home: SlackEmulator) -> AsyncIterator[None]:
    """The bot runs, and where events come over HTTP the web process; both know the workspace."""
    over_http = not settings.slack_app_token
    names = ("bot", "web") if over_http else ("bot",)
    running = [asyncio.create_task(wiring.PROCESSES[name](settings)) for name in names]
    try:
        # What each of them does as soon as it is served.
        await home.wait_for(lambda: len(home.calls_to("users.conversations")) >= len(names), 60)
        if over_http:
            address = f"http://127.0.0.1:{settings.web_port}/slack"
            await home.use_http(f"{address}/events", f"{address}/interactive")
        yield
        assert not any(task.done() for task in running)
    finally:
        home.deliveries.hold()
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


@pytest.mark.parametrize("way", ["socket", "http"])
async def test_workspaces_are_served_as_admins_add_the_app(
    whole: dict[str, str], redis_url: str, way: str
) -> None:
    async with (
        SlackEmulator(allow_unread=True) as home,
        SlackEmulator(allow_unread=True, team_id=SECOND_TEAM_ID, beside=home) as second,
    ):
        home.oauth.redirect_urls.append(REDIRECT)
        door = {"SLACK_APP_TOKEN": home.app_token}
        if way == "http":
            door = {"SLACK_SIGNING_SECRET": home.signing_secret, "WEB_PORT": str(free_port())}
        settings = Settings.load(
            {
                **whole,
                **door,
                "REDIS_URL": redis_url,
                "SECRET_KEY": "a key that is long enough for a test of several workspaces",
                "SLACK_CLIENT_ID": home.oauth.client_id,
                "SLACK_CLIENT_SECRET": home.oauth.client_secret,
                "SLACK_API_URL": home.api_url,
            }
        )
        async with processes(settings) as (database, tokens, admin):
            await tokens.install(await code_for(home, home), REDIRECT, admin)
            async with served(settings, home):
                second.deliveries.transport = home.deliveries.transport
                request = await home.person("Ada").say(home.channel("billing"), "round invoices half up")
                await home.wait_for_post(request, FINDING)

                await tokens.install(await code_for(second, home), REDIRECT, admin)
                elsewhere = await second.person("Grace").say(second.channel("web"), "mend the shop's basket")
                await second.wait_for_post(elsewhere, FINDING)

                second.uninstall()
                await second.wait_for_delivery()
                (left,) = await SlackInstallations(database).all()
                assert left.team_id == TEAM_ID
                with pytest.raises(BrokerRefused):
                    await tokens.token(SECOND_TEAM_ID)
                later = await home.person("Grace").say(home.channel("general"), "and the credit notes")
                await home.wait_for_post(later, FINDING)
                await home.wait_for_delivery()

                assert await tokens.remove(TEAM_ID, admin) == ""
                await home.wait_for_delivery()
                told = [sent.payload["event"]["type"] for sent in home.sent if not sent.attempt]
                assert (told.count("app_uninstalled"), told.count("tokens_revoked")) == (2, 2)
                async with httpx.AsyncClient(timeout=60) as http:
                    bearer = {"Authorization": f"Bearer {home.bot_token}"}
                    answer = await http.post(f"{home.api_url}auth.test", headers=bearer)
                assert answer.json()["error"] == "account_inactive"
                assert await SlackInstallations(database).all() == ()
                rows = [row.entry for row in await Audit(database).page(None, 50)]
                ended = [(entry.action, entry.target) for entry in rows if entry.action == "slack.forget"]
                assert ended == [("slack.forget", SECOND_TEAM_ID)], "what the page removed was not news"
