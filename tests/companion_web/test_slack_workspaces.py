"""Adding the Slack app to workspaces: over Slack's own page and back, by admins, each answer once."""

from __future__ import annotations

import html
import logging
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from playwright.async_api import Browser, expect

from session.people import Role
from tests.companion_web.browser import PHONE, visit
from tests.companion_web.stage import Browserlike, Stage
from tests.companion_web.stage import stage as open_stage
from tests.emulators.slack.emulator import SlackEmulator
from tests.emulators.slack.oauth import Team

HOME = Team("T0HOME", "Home & Garden", "U0HOMEBOT", "xoxb-canary-of-home", "U0ADA")
AWAY = Team("T0AWAY", "Away", "U0AWAYBOT", "xoxb-canary-of-away", "U0GRACE")
NOT_HERE = "was not begun by you in this browser"


@asynccontextmanager
async def with_slack(directory: Path, **env: str) -> AsyncIterator[tuple[Stage, SlackEmulator]]:
    """A stage whose app Slack knows, with Home's admin at Slack's page."""
    async with SlackEmulator() as slack:
        known = {
            "SLACK_API_URL": slack.api_url,
            "SLACK_CLIENT_ID": slack.oauth.client_id,
            "SLACK_CLIENT_SECRET": slack.oauth.client_secret,
        }
        async with open_stage(directory, {**known, **env}) as stage:
            slack.oauth.redirect_urls.append(f"{stage.url}/slack/oauth_redirect")
            slack.oauth.team = HOME
            yield stage, slack


@pytest.fixture
async def with_home(tmp_path: Path) -> AsyncIterator[tuple[Stage, SlackEmulator]]:
    """The same for tests with a browser, which has to start after it."""
    async with with_slack(tmp_path) as opened:
        yield opened


async def at_slack(client: Browserlike) -> str:
    """Press the button, follow the page to Slack, and press *Allow*: where Slack sends the browser."""
    left = await client.post("/slack/install", page="/admin/slack")
    assert left.status_code == 200, left.text
    address = re.search(r'http-equiv="refresh" content="0; url=([^"]+)"', left.text)
    assert address is not None
    async with httpx.AsyncClient(timeout=60) as browser:
        back = await browser.get(html.unescape(address[1]))
    assert back.status_code == 302, back.text
    return back.headers["location"]


def database_bytes(directory: Path) -> bytes:
    """All that lies on disk of the stage's database."""
    return b"".join(path.read_bytes() for path in directory.glob("bellhop.db*"))


async def test_an_admin_adds_workspaces_adds_one_again_and_removes_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG, "httpx")
    async with with_slack(tmp_path) as (stage, slack):
        ada = await stage.person("Ada", "admin")
        async with stage.client(ada) as client:
            assert 'href="/admin/slack"' in (await client.get("/admin")).text
            added = await client.get(await at_slack(client))
            assert added.status_code == 200
            assert "Bellhop is in Home &amp; Garden now" in added.text
            assert "/invite @bellhop" in added.text
            [home] = await stage.slack.installations.all()
            assert (home.team_id, home.installed_by) == ("T0HOME", ada.id)
            assert set(home.scopes) == set(stage.slack.scopes)

            slack.oauth.team = AWAY
            await client.get(await at_slack(client))
            slack.oauth.team = replace(HOME, bot_token="xoxb-canary-of-home-2")
            await client.get(await at_slack(client))
            assert await stage.slack.tokens.token("T0HOME") == "xoxb-canary-of-home-2"
            assert await stage.slack.tokens.token("T0AWAY") == "xoxb-canary-of-away"

            page = (await client.get("/admin/slack")).text
            assert page.index("Away") < page.index("Home &amp; Garden")
            assert page.count("Added by Ada") == 2
            assert "It lacks" not in page
            gone = await client.post("/admin/slack/remove", page="/admin/slack", team="T0HOME")
            assert (gone.status_code, gone.headers["location"]) == (303, "/admin/slack")
            assert [one.team_id for one in await stage.slack.installations.all()] == ["T0AWAY"]
            await client.post("/admin/slack/remove", page="/admin/slack", team="T0HOME")
            slack.oauth.client_secret = "another by now"
            left = await client.post("/admin/slack/remove", page="/admin/slack", team="T0AWAY")
            assert (left.status_code, "Away is answered no longer." in left.text) == (200, True)
            assert "“Manage apps”" in left.text
            assert await stage.slack.installations.all() == ()
        rows = [row.entry for row in await stage.broker.audit.page(None, 20)]
        changes = [entry for entry in rows if entry.action != "slack.token"]
        assert [(entry.action, entry.target, entry.outcome) for entry in reversed(changes)] == [
            ("slack.install", "T0HOME", "allowed"),
            ("slack.install", "T0AWAY", "allowed"),
            ("slack.install", "T0HOME", "allowed"),
            ("slack.remove", "T0HOME", "allowed"),
            ("slack.uninstall", "T0HOME", "done"),
            ("slack.remove", "T0AWAY", "allowed"),
            ("slack.uninstall", "T0AWAY", "failed"),
        ]
        assert all(entry.actor.endswith(f" for {ada.id}") for entry in changes)
        kept = database_bytes(tmp_path)
    said = caplog.text + "".join(capfd.readouterr())
    assert "oauth.v2.access" in said, "what httpx says is heard"
    for secret in ("xoxb-canary", slack.oauth.client_secret):
        assert secret not in said
        assert secret.encode() not in kept


async def with_cookies(stage: Stage, address: str, cookies: Mapping[str, str]) -> int:
    """The status of that address, asked for by a browser with these cookies."""
    transport = httpx.ASGITransport(app=stage.app)
    async with httpx.AsyncClient(transport=transport, base_url=stage.url, cookies=dict(cookies)) as http:
        return (await http.get(address)).status_code


async def test_an_answer_is_good_once_in_the_browser_and_for_the_person_that_began_it(tmp_path: Path) -> None:
    async with with_slack(tmp_path) as (stage, _):
        ada, grace = await stage.person("Ada", "admin"), await stage.person("Grace", "admin")
        async with stage.client(ada) as client, stage.client(ada) as elsewhere, stage.client(grace) as other:
            back = await at_slack(client)
            # A browser with a cookie of its own, and one without any.
            await at_slack(other)
            for stranger in (other, elsewhere):
                refused = await stranger.get(back)
                assert (refused.status_code, NOT_HERE in refused.text) == (403, True)
            forged = await client.get(str(httpx.URL(back).copy_set_param("state", "guessed")))
            assert (forged.status_code, NOT_HERE in forged.text) == (403, True)
            spoilt = {**client.http.cookies, "bellhop-slack": f"{client.http.cookies['bellhop-slack']}x"}
            assert await with_cookies(stage, back, spoilt) == 403
            # Even with Ada's cookie in her browser, Grace goes on with nothing that Ada began.
            lent = {**other.http.cookies, "bellhop-slack": client.http.cookies["bellhop-slack"]}
            assert await with_cookies(stage, back, lent) == 403
            assert await stage.slack.installations.all() == ()

            back = await at_slack(client)
            kept = dict(client.http.cookies)
            assert (await client.get(back)).status_code == 200
            assert "bellhop-slack" not in client.http.cookies
            assert (await client.get(back)).status_code == 403
            assert await with_cookies(stage, back, kept) == 403, "nor with the cookie of the first time"
            # A code that was used, under a state that was not.
            fresh = httpx.URL(await at_slack(client)).params["state"]
            used = await client.get(str(httpx.URL(back).copy_set_param("state", fresh)))
            assert (used.status_code, "was used before" in used.text) == (409, True)
            assert "Add to a workspace" in used.text


async def test_what_went_wrong_is_said_with_what_to_do(tmp_path: Path) -> None:
    async with with_slack(tmp_path, SLACK_TEAMS="T0AWAY, T0THIRD") as (stage, slack):
        async with stage.client(await stage.person("Ada", "admin")) as client:
            foreign = await client.get(await at_slack(client))
            assert foreign.status_code == 409
            assert "Home &amp; Garden (T0HOME) is not among the workspaces of SLACK_TEAMS" in foreign.text
            for word, said in (
                ("access_denied", "You said no on Slack"),
                ("invalid_team_for_non_distributed_app", "Public Distribution"),
                ("other_word", "Slack says no (other_word)"),
                ("<b>no</b>", "Slack says no. "),
            ):
                slack.oauth.refusal = word
                denied = await client.get(await at_slack(client))
                assert (denied.status_code, said in denied.text) == (409, True), denied.text
            slack.oauth.refusal = ""
            empty = httpx.URL(await at_slack(client)).copy_remove_param("code")
            assert "Slack sent nothing to go on with" in (await client.get(str(empty))).text
            long = httpx.URL(await at_slack(client)).copy_set_param("code", "x" * 501)
            assert (await client.get(str(long))).status_code == 409
            slack.oauth.team = AWAY
            back = await at_slack(client)
            await stage.broker.stop()
            away = await client.get(back)
            assert (away.status_code, "does not answer" in away.text) == (503, True)
        assert await stage.slack.installations.all() == ()


async def test_slack_being_away_and_an_app_that_is_not_set_up_are_said(tmp_path: Path, stage: Stage) -> None:
    async with stage.client(await stage.person("Ada", "admin")) as client:
        page = (await client.get("/admin/slack")).text
        assert "Set SLACK_CLIENT_ID and SLACK_CLIENT_SECRET" in page
        assert "Add to a workspace" not in page
        refused = await client.post("/slack/install")
        assert (refused.status_code, "Set SLACK_CLIENT_ID" in refused.text) == (409, True)
    second = tmp_path / "second"
    second.mkdir()
    async with with_slack(second) as (other, slack), other.client(await other.person("A", "admin")) as client:
        back = await at_slack(client)
        await slack.__aexit__(None, None, None)
        away = await client.get(back)
        assert (away.status_code, "Slack did not answer" in away.text) == (502, True)


@pytest.mark.parametrize("role", ["viewer", "prompter", "approver"])
async def test_others_may_neither_look_nor_add_nor_remove(tmp_path: Path, role: Role) -> None:
    async with with_slack(tmp_path) as (stage, _):
        ada = await stage.person("Ada", "admin")
        async with stage.client(ada) as client:
            await client.get(await at_slack(client))
            back = await at_slack(client)
            token = await client.csrf("/admin/slack")
            foreign = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
            for path in ("/slack/install", "/admin/slack/remove"):
                answer = await client.http.post(path, data={"csrf": token, "team": "T0HOME"}, headers=foreign)
                assert answer.status_code == 403
            # Whoever is no admin any more when they come back has added nothing.
            await stage.directory.set_role(ada.id, role)
            assert (await client.get(back)).status_code == 403
        async with stage.client(await stage.person("Grace", role)) as client:
            answers = [
                await client.get("/admin/slack"),
                await client.get("/slack/oauth_redirect?code=x&state=y"),
                await client.post("/slack/install"),
                await client.post("/admin/slack/remove", team="T0HOME"),
            ]
            assert [answer.status_code for answer in answers] == [403] * 4
            assert [a for a in answers if "Only admins may" not in a.text or "T0HOME" in a.text] == []
        async with stage.client(None) as client:
            assert (await client.get("/slack/oauth_redirect?code=x&state=y")).status_code == 303
        assert [one.team_id for one in await stage.slack.installations.all()] == ["T0HOME"]


@pytest.mark.needs("chromium")
async def test_a_browser_goes_to_slack_and_back_and_reads_the_list_on_a_phone(
    with_home: tuple[Stage, SlackEmulator], browser: Browser
) -> None:
    stage, slack = with_home
    async with stage.serve():
        slack.oauth.team = replace(HOME, name="Home & Garden Supplies of the Whole North, Limited")
        async with visit(browser, stage, await stage.person("Ada", "admin"), size=PHONE) as page:
            await page.goto(f"{stage.url}/admin")
            await page.get_by_role("link", name="Add or remove workspaces").click()
            await page.get_by_role("button", name="Add to a workspace").click()
            await expect(page.get_by_role("heading", name="Added")).to_be_visible()
            await page.get_by_role("link", name="Slack workspaces").click()
            await expect(page.get_by_text("Added by Ada")).to_be_visible()
            await page.get_by_text("Remove…").click()
            wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            assert await page.evaluate(wide) == 0
            await page.get_by_role("button", name=re.compile("^Remove Home & Garden")).click()
            await expect(page.get_by_text("Added by Ada")).to_have_count(0)
        assert await stage.slack.installations.all() == ()
