"""The companion page beside the thread: it shows all of a run once, and what is done there shows in Slack."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser, Page, expect

from session import events as e
from session.each_repository import EACH
from tests.companion_web.browser import visit
from tests.emulators.model.turns import Held, tool
from tests.journeys.conftest import OpenHouse
from tests.journeys.house import AGENT, BILLING, House, Member
from tests.journeys.steps import FINISH, FIX, LOOK, PROPOSE
from tests.journeys.thread import Thread

pytestmark = pytest.mark.needs("chromium")


async def places(page: Page) -> list[int]:
    """The sequences of the timeline's items, as they stand on the page."""
    found = await page.locator("#timeline > li").evaluate_all("items => items.map(i => Number(i.dataset.at))")
    return [int(place) for place in found]


async def test_opened_mid_run_cut_and_resumed_it_shows_everything_once(
    open_house: OpenHouse, browser: Browser
) -> None:
    async with open_house() as house:
        ada = await house.member("Ada")
        held, cut = Held(FIX, after_events=3), Held(tool("bash", command="echo behind the tunnel"))
        house.model.script(AGENT, LOOK, held, cut, PROPOSE, FINISH)
        thread = await ada.asks("round half a cent up")
        session_id = await thread.session()
        await held.reached.wait()
        async with visit(browser, house, await ada.person()) as page:
            async with page.expect_response("**/events*"):
                await page.goto(f"{house.url}/s/{session_id}")
            held.release()
            await expect(page.get_by_text("finance rounds it up")).to_be_visible()
            await cut.reached.wait()
            await page.context.set_offline(True)
            cut.release()
            await thread.hears("May I publish this?")
            await page.context.set_offline(False)
            await expect(page.get_by_role("button", name="Approve")).to_be_visible()
            shown = await places(page)
            assert shown == sorted(set(shown))
            await page.reload()
            assert await places(page) == shown, "what came live is what a fresh page shows"

            await page.get_by_role("button", name="Approve").click()
            await thread.hears("Approved by Ada")
            await thread.hears("Half a cent is now rounded up.")
            await expect(page.get_by_text("Half a cent is now rounded up.")).to_be_visible()
            await expect(page.locator("#facts").get_by_role("link", name="#1")).to_be_visible()
            shown = await places(page)
            assert shown == sorted(set(shown))
        assert house.github.pull(BILLING, 1).author.login == "ada"
        await thread.holds_only("card", "approval", "answer")


async def test_stopped_and_prompted_on_the_page_is_told_in_the_thread(
    open_house: OpenHouse, browser: Browser
) -> None:
    async with open_house() as house:
        ada, grace = await house.member("Ada"), await house.member("Grace")
        house.model.script(AGENT, tool("bash", command="sleep 3600"))
        thread = await ada.asks("watch the nightly run")
        await thread.event(e.ToolCalled)
        async with visit(browser, house, await grace.person()) as page:
            await page.goto(f"{house.url}/s/{await thread.session()}")
            await page.get_by_role("button", name="Stop").click()
            await thread.hears("Stopped by Grace.")
            await thread.card("Stopped")
            await expect(page.get_by_text("Stopped by Grace")).to_be_visible()
            house.model.script(AGENT, FINISH)
            await page.get_by_placeholder("What next?").fill("leave it")
            await page.get_by_role("button", name="Send").click()
            await thread.hears("Grace added on the session's page")
            await thread.hears("Half a cent is now rounded up.")
            await expect(page.get_by_text("Half a cent is now rounded up.")).to_be_visible()
            await each_of_several_is_chosen(house, ada, page)
        await thread.holds_only("card", "notice", "notice", "answer")


async def each_of_several_is_chosen(house: House, ada: Member, page: Page) -> None:
    """A request about two repositories, and a press on the page: two threads, and a link to the other."""
    house.model.script(AGENT, FINISH, FINISH)
    thread = await ada.asks("bump the mail library in acme/web and in acme/billing", house.general)
    await page.goto(f"{house.url}/s/{await thread.session()}")
    await page.get_by_role("button", name=EACH).click()
    await thread.hears("The same for *acme/web*")
    await page.get_by_role("link", name="acme/web").click()
    await expect(page.locator("#head .repo")).to_have_text("acme/web")
    (chosen,) = await thread.events(e.RepositoryChosen)
    there = (await house.core.log.view(chosen.beside_sessions[0])).origin.thread
    root = next(m for m in house.slack.channel_messages(house.general) if m.ts == there)
    for begun in (thread, Thread(house.slack, house.core, root)):
        await begun.hears("Half a cent is now rounded up.")
        await begun.is_told()
