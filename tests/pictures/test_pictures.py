"""The pictures of the README, taken from a real run; `make pictures` keeps them."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

import companion_web
from tests.emulators.discord.emulator import DiscordEmulator
from tests.emulators.discord.world import THREAD_STARTER
from tests.faults.waiting import until
from tests.journeys.house import House
from tests.journeys.stages import DiscordStage, served
from tests.journeys.thread import Thread
from tests.pictures import story
from tests.pictures.camera import DESK, PHONE, sight, take, visit
from tests.pictures.discord_page import thread_page as discord_page
from tests.pictures.shrinking import in_few_colours
from tests.pictures.slack_page import thread_page

pytestmark = pytest.mark.needs("chromium", "emoji", "typeface")

BELL = (Path(companion_web.__file__).parent / "static" / "bell.svg").read_text()

LARGEST_THREAD_BYTES = 150_000

BROUGHT_INTO_SIGHT = """button => {
  const covered = () => {
    const box = button.getBoundingClientRect();
    return document.elementFromPoint(box.left + box.width / 2, box.bottom - 2) !== button;
  };
  for (let more = 0; covered() && more < 12; more++) window.scrollBy({ top: 20, behavior: "instant" });
  return !covered();
}"""
"""On a busy machine what is above it takes more lines, such as how long a sandbox took to be ready."""


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
        await take_thread(slack, telling.thread, "thread-slack", "Update pull request #1")
        await take_both_schemes(desk, session, "session-1280", "Found it")
        await take_both_schemes(desk, f"{session}/changes", "changes-1280", "ROUND_HALF_UP, Decimal")
        async with visit(browser, house, telling.grace, PHONE) as phone:
            await take_phone(phone, session, others)
        await story.until_the_end(telling)
        await desk.goto(house.url)
        await expect(desk.locator(".session-row")).to_have_count(4)
        await desk.set_viewport_size({"width": DESK[0], "height": 540})
        await take(desk, "sessions-1280")
    await take_discord(house, browser, telling)


async def take_discord(house: House, browser: Browser, telling: story.Telling) -> None:
    """The same on Discord, by the same people."""
    async with DiscordEmulator() as discord, sight(browser) as page:
        stage = DiscordStage(discord)
        async with served(house.core, stage):
            await story.on_another_stage(house, stage, telling.ada, telling.grace)
            thread = discord.world.thread_of(stage.root)
            assert thread is not None
            messages = [stage.root, *(m for m in discord.thread(stage.root) if m.kind != THREAD_STARTER)]
            names = {account.id: account.name for account in discord.world.users.values()}
            await page.set_content(discord_page(messages, thread.name, names.__getitem__, BELL))
            await expect(page.get_by_text("Update pull request").first).to_be_visible()
            await take_small(page, "thread-discord")


async def take_thread(page: Page, thread: Thread, name: str, words: str) -> None:
    await page.set_content(thread_page(thread.slack.thread(thread.root), BELL))
    await expect(page.get_by_text(words).first).to_be_visible()
    await take_small(page, name)


async def take_small(page: Page, name: str) -> None:
    """The thread as a picture that a newcomer's browser loads at once."""
    path = await take(page, name, "#thread")
    path.write_bytes(await in_few_colours(page, path.read_bytes()))
    assert path.stat().st_size < LARGEST_THREAD_BYTES


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

    async def can_be_pressed() -> bool:
        # What is still arriving moves what is there already.
        await page.locator("article", has_text=story.FOLLOW_UP).evaluate(
            "asked => window.scrollTo(0, window.scrollY + asked.getBoundingClientRect().top - 14)"
        )
        return bool(await page.get_by_role("button", name="Approve").evaluate(BROUGHT_INTO_SIGHT))

    await until(can_be_pressed, "the button that approves is in view")
    await take(page, "session-390")
    for name, thread in (("merged", others.merged), ("failed", others.failed), ("asked", others.asked)):
        await page.goto(session.replace(session.rsplit("/", 1)[1], await thread.session()))
        await take(page, f"session-{name}-390")
