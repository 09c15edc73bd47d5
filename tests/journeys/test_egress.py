"""A host that no rule names: people see what is wanted and why, and their yes counts for one session."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from session import events as e
from tests.companion_web.browser import visit
from tests.emulators.model.turns import together, tool
from tests.journeys.conftest import OpenHouse
from tests.journeys.house import AGENT, BILLING
from tests.journeys.outside import Outside, outside
from tests.journeys.steps import FINISH
from tests.journeys.thread import Thread

pytestmark = pytest.mark.needs("chromium")

KNOWN, NEW = "rates.example.com", "status.example.com"


async def outputs(thread: Thread) -> list[str]:
    """What the shell's calls of the thread's session brought the agent, in order."""
    return [event.output for event in await thread.events(e.ToolReturned) if event.tool == "bash"]


def fetch(there: Outside, host: str, path: str) -> str:
    return f"curl -sS --fail-with-body {there.url(host, path)}"


async def test_a_new_host_is_asked_about_and_allowed_for_one_session(
    open_house: OpenHouse, tmp_path: Path, browser: Browser
) -> None:
    async with outside(tmp_path) as there:
        rules = {BILLING: {"egress": ["forge", there.rule(KNOWN)]}}
        async with open_house(settings=there.settings, repositories=rules) as house:
            ada, grace = await house.member("Ada"), await house.member("Grace")
            look = tool("bash", command=fetch(there, NEW, "/api/v2/incidents?open=1"))
            reason = "I look whether the bank has an outage."
            house.model.script(AGENT, together(look, text=reason), look, FINISH)
            thread = await ada.asks("is the bank down?")
            asked = await thread.hears("May I reach this address?")
            assert f"Reach {NEW}?" in asked.shown
            assert f"GET https://{NEW}:{there.server.port}/api/v2/incidents" in asked.shown
            assert f"no rule of {BILLING} names {NEW}" in asked.shown
            assert reason in asked.shown
            assert "allows it for this session only" in asked.shown
            assert there.asked() == []
            await ada.reacts("white_check_mark", asked)
            await thread.hears("Half a cent is now rounded up.")
            await house.slack.wait_for(lambda: "Approved by Ada, and done." in asked.shown)
            assert there.asked() == [("GET", "/api/v2/incidents?open=1")]
            refused, fetched = await outputs(thread)
            assert f"[Ada allowed GET {NEW}:{there.server.port} for this session. Run it again.]" in refused
            assert fetched.splitlines()[0] == "fine"
            await thread.holds_only("card", "approval", "answer")

            # Ada's yes is not Grace's: there the page asks the same, and hears no.
            house.model.script(AGENT, look, FINISH)
            other = await grace.asks("is the bank down?")
            await other.hears("May I reach this address?")
            async with visit(browser, house, await grace.person()) as page:
                await page.goto(f"{house.url}/s/{await other.session()}")
                await expect(page.get_by_text(f"Reach {NEW}?", exact=True)).to_be_visible()
                await expect(page.get_by_role("button", name="Approve")).to_be_visible()
                await page.get_by_role("button", name="Refuse").click()
                await other.hears("🛑 Grace said no.")
                await other.hears("Half a cent is now rounded up.")
            [told] = await outputs(other)
            assert "stays out of reach: Grace said no. Go on without it.]" in told
            assert len(there.asked()) == 1
            await other.holds_only("card", "approval", "answer")
