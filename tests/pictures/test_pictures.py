"""The pictures of the README, taken from a real run; `make pictures` keeps them."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

import companion_web
from tests.journeys.house import House
from tests.journeys.thread import Thread
from tests.pictures import story
from tests.pictures.camera import DESK, PHONE, sight, take, visit
from tests.pictures.slack_page import thread_page

pytestmark = pytest.mark.needs("chromium", "emoji", "typeface")

BELL = (Path(companion_web.__file__).parent / "static" / "bell.svg").read_text()

UNCOVERED = """button => {
  const box = button.getBoundingClientRect();
  return document.elementFromPoint(box.left + box.width / 2, box.bottom - 2) === button;
}"""


async def test_pictures_of_a_session_from_request_to_follow_up(house: House, browser: Browser) -> None:
    others = await story.others_before(house, await house.member("Linus"))
    telling, held = await story.until_the_tests_run(house)
    session = f"{house.url}/s/{await telling.thread.session()}"
    async with visit(browser, house, telling.grace) as desk, sight(browser) as slack:
        await desk.goto(session)
        await expect(desk.locator("#plan")).to_contain_text("2 of 3")
        await take(desk, "session-working-1280")
        await take_thread(slack, telling.thread, "thread-working", "Found it")
        held.release()
        telling = await story.until_the_follow_up_waits(house, telling)
        await take_thread(slack, telling.thread, "thread", "Update pull request #1")
        await take_both_schemes(desk, session, "session-1280", "Found it")
        await take_both_schemes(desk, f"{session}/changes", "changes-1280", "ROUND_HALF_UP, Decimal")
        async with visit(browser, house, telling.grace, PHONE) as phone:
            await take_phone(phone, session, others)
        await story.until_the_end(telling)
        await desk.goto(house.url)
        await expect(desk.locator(".session-row")).to_have_count(4)
        await desk.set_viewport_size({"width": DESK[0], "height": 540})
        await take(desk, "sessions-1280")


async def take_thread(page: Page, thread: Thread, name: str, words: str) -> None:
    await page.set_content(thread_page(thread.slack.thread(thread.root), BELL))
    await expect(page.get_by_text(words).first).to_be_visible()
    await take(page, name, "#thread")


async def take_both_schemes(page: Page, address: str, name: str, words: str) -> None:
    await page.goto(address)
    await expect(page.get_by_text(words).first).to_be_visible()
    await take(page, name)
    await page.emulate_media(color_scheme="dark")
    await take(page, f"{name}-dark")
    await page.emulate_media(color_scheme="light")


async def take_phone(page: Page, session: str, others: story.Others) -> None:
    await page.goto(f"{session}/changes")
    await expect(page.get_by_text("ROUND_HALF_UP, Decimal")).to_be_visible()
    await take(page, "changes-390")
    await page.goto(session)
    await take(page, "session-top-390")
    await page.locator("article", has_text=story.FOLLOW_UP).evaluate(
        "asked => window.scrollTo(0, window.scrollY + asked.getBoundingClientRect().top - 14)"
    )
    assert await page.get_by_role("button", name="Approve").evaluate(UNCOVERED)
    await take(page, "session-390")
    for name, thread in (("merged", others.merged), ("failed", others.failed), ("asked", others.asked)):
        await page.goto(session.replace(session.rsplit("/", 1)[1], await thread.session()))
        await take(page, f"session-{name}-390")
