"""A plan that people approve first: nothing is changed before their yes, and their no is heard."""

from __future__ import annotations

import asyncio

import pytest
from playwright.async_api import Browser, expect

from session import events as e
from tests.companion_web.browser import visit
from tests.emulators.model.turns import Held, together, tool
from tests.journeys.conftest import OpenHouse
from tests.journeys.house import AGENT, BILLING
from tests.journeys.steps import FINISH, FIX, NOTE
from tests.journeys.thread import Thread

pytestmark = pytest.mark.needs("chromium")

RULES = {BILLING: {"approvals": {"plan": "ask"}}}
ROUND, TELL = "Round half a cent up", "Write down what finance wants"


async def told(thread: Thread, name: str) -> list[str]:
    """What the calls of that tool brought the agent, in order."""
    return [event.output for event in await thread.events(e.ToolReturned) if event.tool == name]


async def test_nothing_is_changed_before_the_plan_was_approved(
    open_house: OpenHouse, browser: Browser
) -> None:
    async with open_house(repositories=RULES) as house:
        ada, grace = await house.member("Ada"), await house.member("Grace")
        both = tool("plan", items=[{"text": ROUND}, {"text": TELL}])
        on = tool("plan", items=[{"text": ROUND, "status": "done"}, {"text": TELL, "status": "in_progress"}])
        house.model.script(AGENT, NOTE, both, FIX, on, FINISH)
        thread = await ada.asks("round half a cent up")
        asked = await thread.hears("Is this plan right?")
        assert f"1. {ROUND}\n2. {TELL}" in asked.shown
        assert "✅ lets me work by these steps, others I ask about again; answer until" in asked.shown
        await thread.card("Waiting for your approval")
        workspace = house.workspace(await thread.session())
        assert not (workspace / "NOTES.md").exists()
        await ada.reacts("white_check_mark", asked)
        await thread.hears("Half a cent is now rounded up.")
        await house.slack.wait_for(lambda: asked.shown.endswith("✅ Approved by Ada; I work by it."))
        await thread.card(TELL)
        assert "ROUND_HALF_UP" in (workspace / "billing/money.py").read_text()
        [refused] = await told(thread, "write_file")
        assert "call plan with the steps that you intend" in refused
        await thread.holds_only("card", "approval", "answer")

        # On the page it is the same question, and whoever says no can say why in the thread.
        held = Held(both)
        house.model.script(AGENT, both, held, together(tool("plan", items=[{"text": ROUND}]), FIX), FINISH)
        other = await grace.asks("round half a cent up")
        await other.hears("Is this plan right?")
        async with visit(browser, house, await grace.person()) as page:
            await page.goto(f"{house.url}/s/{await other.session()}")
            await expect(page.get_by_text("A plan of 2 steps", exact=True)).to_be_visible()
            await expect(page.get_by_role("listitem").get_by_text(TELL, exact=True)).to_be_visible()
            await expect(page.get_by_text("Approving covers these steps")).to_be_visible()
            await page.get_by_role("button", name="Refuse").click()
            await other.hears("🛑 Grace said no.")
        await asyncio.wait_for(held.reached.wait(), 60)
        await grace.replies(other, "only the rounding, please")
        assert (await other.prompt("only the rounding")).steer
        held.release()
        await other.sees(lambda view: len(view.approvals) == 2, "asked about another plan")
        first, unheard = await told(other, "plan")
        assert first.startswith("The plan is not approved: Grace said no.")
        assert unheard.startswith("Not shown yet: people have just written something.")
        asked = (await other.is_told())[-1]
        assert TELL not in asked.shown
        await grace.presses("✅ Approve", asked)
        await other.hears("Half a cent is now rounded up.")
        assert [item.text for item in (await other.view()).plan] == [ROUND]
        await other.holds_only("card", "approval", "approval", "answer")
