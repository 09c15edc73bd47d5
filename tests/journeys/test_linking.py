"""Making a chat account and a GitHub account one person's, by the ways people really have."""

from __future__ import annotations

import html
import re

import httpx

from tests.journeys.conftest import OpenHouse
from tests.journeys.house import AGENT, BILLING, House
from tests.journeys.steps import WHOLE

IN_A_BROWSER = {"Sec-Fetch-Site": "same-origin"}


async def link_code(house: House, login: str) -> str:
    """Signs in with GitHub in a browser of that login, and asks the account page for a code."""
    house.github.sign_in_as(login)
    async with httpx.AsyncClient(base_url=house.url, follow_redirects=True, timeout=60) as browser:
        page = await browser.get("/sign-in/github?next=/account")
        assert f"in the name of <b>{login}</b>" in page.text
        token = re.search(r'name="csrf" value="([^"]+)"', page.text)
        assert token is not None
        form = {"csrf": html.unescape(token.group(1))}
        page = await browser.post("/account/code", data=form, headers={**IN_A_BROWSER, "Origin": house.url})
        code = re.search(r"link (\S+)</pre>", page.text)
        assert code is not None, page.text
        return html.unescape(code.group(1))


async def test_never_linked_told_how_linked_and_tried_again(open_house: OpenHouse, database_url: str) -> None:
    async with open_house(database_url=database_url, settings={"ALLOWED_LOGINS": "ada"}) as house:
        ada = await house.member("Ada", linked=False)
        thread = await ada.asks("round half a cent up")
        failure = await thread.hears("Ada has no linked account on github")
        assert f"{house.url}/account" in failure.shown
        assert await house.environment.list() == []

        code = await link_code(house, "ada")
        direct = await ada.slack.say_directly(f"link {code}")
        told = await house.slack.wait_for_post(direct, "Linked: what you ask for here is done as")
        assert told.ephemeral_for == ada.slack.id

        house.model.script(AGENT, *WHOLE)
        await ada.reacts("repeat", await thread.card("Failed"))
        await ada.reacts("white_check_mark", await thread.hears("May I publish this?"))
        await thread.hears("Half a cent is now rounded up.")
        assert house.github.pull(BILLING, 1).author.login == "ada"
        await thread.holds_only("card", "failure", "approval", "answer")


async def test_a_login_that_nobody_listed_is_not_let_in(open_house: OpenHouse) -> None:
    async with open_house(settings={"ALLOWED_LOGINS": "ada"}) as house:
        house.github.add_user("mallory")
        house.github.sign_in_as("mallory")
        async with httpx.AsyncClient(base_url=house.url, follow_redirects=True, timeout=60) as browser:
            page = await browser.get("/sign-in/github?next=/account")
            assert page.status_code == 403
            assert "not on this Bellhop" in html.unescape(page.text)
            assert (await browser.get("/account")).url.path == "/sign-in"
