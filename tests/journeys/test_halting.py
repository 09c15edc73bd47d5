"""Everything stopped at once, by command or an admin's button: each thread says so; what waits is kept."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser, expect

from deploy.stop_command import operator, resume, stop_all
from session import events as e
from session.settings import Settings
from tests.companion_web.browser import visit
from tests.emulators.model.turns import Held, tool
from tests.faults.waiting import until
from tests.journeys.conftest import OpenHouse
from tests.journeys.house import AGENT, BILLING, House
from tests.journeys.steps import FINISH, FIX
from tests.journeys.thread import Thread

pytestmark = pytest.mark.needs("chromium")

AREAS = ("model.", "egress.", "forge.", "mcp.")


async def effects(house: House) -> list[str]:
    """What happened outside of any thread, by the audit; refusals are no effects."""
    rows = await house.core.audit.page(None, 1000)
    done = [row.entry.action for row in rows if row.entry.outcome != "refused"]
    return [action for action in done if action.startswith(AREAS)]


async def calls(*threads: Thread) -> int:
    """How many tool calls have begun in all of them."""
    return sum([len(await thread.events(e.ToolCalled)) for thread in threads])


async def test_stopped_by_command_and_gone_on_from_the_page(
    open_house: OpenHouse, browser: Browser, capsys: pytest.CaptureFixture[str]
) -> None:
    async with open_house(repositories={BILLING: {"ask": ["tee **"]}}) as house:
        ada, grace = await house.member("Ada"), await house.member("Grace")
        linus = await house.member("Linus", role="admin")
        shell = Settings.load({"BELLHOP_HOME": str(house.core.settings.bellhop_home)})
        # One session waits for a yes, one is in a tool, one is being answered by the model.
        house.model.script(AGENT, tool("bash", command="tee ledger.txt"))
        asking = await ada.asks("round half a cent up")
        asked = await asking.hears("May I run this?")
        house.model.script(AGENT, tool("bash", command="sleep 3600"))
        working = await grace.asks("watch the nightly run")
        await working.event(e.ToolCalled)
        held = Held(FIX)
        house.model.script(AGENT, held)
        thinking = await ada.asks("and write it down")
        await held.reached.wait()

        assert await stop_all(shell, "a key leaked") == 0
        assert "All work is stopped: 3 turns, and every box." in capsys.readouterr().out
        threads = (asking, working, thinking)
        for thread in threads:
            notice = await thread.hears(f"{operator().name} stopped all work: a key leaked.")
            assert (
                "The work so far is saved. 🔁 on the card tries again once an admin has resumed"
                in notice.shown
            )
        await until(lambda: _all_dead(house), "every box is dead")
        before = (len(house.model.requests), await calls(*threads), await effects(house))

        # A yes comes too late; a new request, a follow-up and a retry wait.
        await ada.reacts("white_check_mark", asked)
        await asking.hears("That can no longer be approved")
        waiting = await grace.asks("say hello")
        await waiting.is_marked("eyes")
        await ada.replies(thinking, "go on")
        await thinking.prompt("go on")
        await grace.reacts("repeat", await working.card("Stopped"))
        await working.event(e.RetryRequested)

        async with visit(browser, house, await linus.person()) as page:
            await page.goto(f"{house.url}/admin")
            await expect(page.get_by_text("a key leaked", exact=True)).to_be_visible()
            assert (len(house.model.requests), await calls(*threads), await effects(house)) == before
            house.model.script(AGENT, *[FINISH] * 3)
            await page.get_by_role("button", name="Switch on again").click()
            for thread in (working, waiting, thinking):
                await thread.hears("Half a cent is now rounded up.")
        assert (await asking.view()).state == "stopped"
        await asking.holds_only("card", "approval", "notice")
        await working.holds_only("card", "notice", "answer")
        await waiting.holds_only("card", "answer")
        await thinking.holds_only("card", "notice", "answer")


async def _all_dead(house: House) -> bool:
    return not any(box.running for box in await house.environment.list())


async def test_stopped_by_an_admin_s_button_and_gone_on_by_command(
    open_house: OpenHouse, browser: Browser, capsys: pytest.CaptureFixture[str]
) -> None:
    async with open_house() as house:
        ada, linus = await house.member("Ada"), await house.member("Linus", role="admin")
        house.model.script(AGENT, tool("bash", command="sleep 3600"))
        thread = await ada.asks("watch the nightly run")
        await thread.event(e.ToolCalled)
        async with visit(browser, house, await linus.person()) as page:
            await page.goto(f"{house.url}/admin")
            await page.get_by_role("link", name="Stop all work").click()
            await page.get_by_label("Why?").fill("odd requests, <!channel> & *more*.")
            await page.get_by_role("button", name="Yes, stop all work").click()
            notice = await thread.hears("Linus stopped all work: odd requests,")
            assert "&lt;!channel&gt; &amp; *more*." in notice.text
            assert "The work so far is saved." in notice.shown
        await ada.replies(thread, "round half a cent up instead")
        await thread.prompt("round half a cent up instead")
        house.model.script(AGENT, FINISH)
        shell = Settings.load({"BELLHOP_HOME": str(house.core.settings.bellhop_home)})
        assert await resume(shell) == 0
        assert "what waited is taken up within seconds" in capsys.readouterr().out
        await thread.hears("Half a cent is now rounded up.")
        await thread.holds_only("card", "notice", "answer")
