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

REDIRECT = "https://bellhop.example.com/slack/oauth_redirect"
FINDING = "Finding the repository"


async def code_for(slack: SlackEmulator, door: SlackEmulator) -> str:
    """What Slack sends back once an admin of `slack` has pressed *Allow*; `door` is where Slack is."""
    workspace = slack.workspace
    door.oauth.team = Team(workspace.team_id, "Acme", workspace.bot.id, slack.bot_token, "U0ADMIN")
    query = {"client_id": door.oauth.client_id, "scope": "chat:write", "redirect_uri": REDIRECT, "state": "s"}
    async with httpx.AsyncClient() as http:
        answer = await http.get(f"{door.base_url}/oauth/v2/authorize?{urlencode(query)}")
    return httpx.URL(answer.headers["location"]).params["code"]


@asynccontextmanager
async def processes(settings: Settings) -> AsyncIterator[tuple[Database, SlackTokens, str]]:
    """The broker runs; with the database, the way to its tokens, and the id of an admin."""
    serving = asyncio.create_task(wiring.broker(settings))
    try:
        async with Broker(settings.broker_address) as way:
            await asyncio.wait_for(look_for_broker(way, "web"), 20)
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


async def test_workspaces_are_served_as_admins_add_the_app(whole: dict[str, str], redis_url: str) -> None:
    async with (
        SlackEmulator(allow_unread=True) as home,
        SlackEmulator(allow_unread=True, team_id=SECOND_TEAM_ID, beside=home) as second,
    ):
        home.oauth.redirect_urls.append(REDIRECT)
        settings = Settings.load(
            {
                **whole,
                "REDIS_URL": redis_url,
                "SECRET_KEY": "a key that is long enough for a test of several workspaces",
                "SLACK_APP_TOKEN": home.app_token,
                "SLACK_CLIENT_ID": home.oauth.client_id,
                "SLACK_CLIENT_SECRET": home.oauth.client_secret,
                "SLACK_API_URL": home.api_url,
            }
        )
        async with processes(settings) as (database, tokens, admin):
            await tokens.install(await code_for(home, home), REDIRECT, admin)
            bot = asyncio.create_task(wiring.bot(settings))
            try:
                await home.wait_for_connection()
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
                assert not bot.done()
            finally:
                bot.cancel()
                await asyncio.gather(bot, return_exceptions=True)
