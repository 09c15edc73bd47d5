"""The emulated OAuth is as strict as Slack's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import aiohttp
from aiohttp import web

from tests.emulators.slack.method_rules import ALL_BOT_SCOPES
from tests.emulators.slack.oauth import CODE_SECONDS, SlackOAuth, Team

REDIRECT = "http://bellhop.example/slack/oauth_redirect"
HOME = Team("T0HOME", "Home", "U0HOMEBOT", "xoxb-home", "U0ADA")
AWAY = Team("T0AWAY", "Away", "U0AWAYBOT", "xoxb-away", "U0GRACE")


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


async def test_codes_are_for_one_workspace_one_address_one_use_and_ten_minutes() -> None:
    clock = Clock()
    oauth = SlackOAuth([REDIRECT], known_scopes=ALL_BOT_SCOPES, clock=clock)
    app = web.Application()
    app.router.add_routes(oauth.routes())
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        good = {"client_id": oauth.client_id, "scope": "chat:write", "redirect_uri": REDIRECT, "state": "s1"}

        async def page(**changed: str) -> tuple[int, Mapping[str, str]]:
            address = f"{url}/oauth/v2/authorize?{urlencode({**good, **changed})}"
            async with aiohttp.ClientSession() as http, http.get(address, allow_redirects=False) as answer:
                query = urlsplit(answer.headers.get("Location", "")).query
                return answer.status, dict(parse_qsl(query))

        async def exchange(code: str, *, secret: str = "", redirect_uri: str = REDIRECT) -> Mapping[str, Any]:
            client = aiohttp.encode_basic_auth(oauth.client_id, secret or oauth.client_secret)
            form = {"code": code, "redirect_uri": redirect_uri}
            async with (
                aiohttp.ClientSession(headers={"Authorization": client}) as http,
                http.post(f"{url}/api/oauth.v2.access", data=form) as answer,
            ):
                return dict(await answer.json())

        assert (await page())[0] == 401, "nobody is signed in"
        oauth.team = HOME
        for wrong in (
            {"client_id": "another"},
            {"redirect_uri": "http://evil.example/"},
            {"scope": "chat:write,everything"},
        ):
            assert (await page(**wrong))[0] == 400, wrong

        status, back = await page()
        assert (status, back["state"], oauth.violations) == (302, "s1", [])
        for error, code, changed in (
            ("invalid_code", "guessed", {}),
            ("bad_client_secret", back["code"], {"secret": "guessed"}),
            ("bad_redirect_uri", back["code"], {"redirect_uri": f"{REDIRECT}/other"}),
        ):
            assert (await exchange(code, **changed))["error"] == error
        home = await exchange(back["code"])
        assert (home["access_token"], home["team"]) == ("xoxb-home", {"id": "T0HOME", "name": "Home"})
        assert (await exchange(back["code"]))["error"] == "code_already_used"

        async def uninstall(token: str, **changed: str) -> str:
            form = {"client_id": oauth.client_id, "client_secret": oauth.client_secret, **changed}
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            async with (
                aiohttp.ClientSession(headers=headers) as http,
                http.post(f"{url}/api/apps.uninstall", data=form) as answer,
            ):
                return str((await answer.json()).get("error", "gone"))

        assert await uninstall("xoxb-home", client_secret="guessed") == "bad_client_secret"
        assert await uninstall("xoxb-home", client_id="another") == "invalid_client_id"
        tokens = ("", "xoxb-guessed", "xoxb-home", "xoxb-home")
        said = [await uninstall(token) for token in tokens]
        assert said == ["not_authed", "invalid_auth", "gone", "account_inactive"]

        oauth.team = AWAY
        (_, first), (_, late) = await page(), await page()
        clock.now = CODE_SECONDS - 1
        assert (await exchange(first["code"]))["access_token"] == "xoxb-away"
        clock.now = CODE_SECONDS
        assert (await exchange(late["code"]))["error"] == "code_expired"
        await page(state="")
        assert oauth.violations == ["authorize without state: the answer could be forged"]
    finally:
        await runner.cleanup()
