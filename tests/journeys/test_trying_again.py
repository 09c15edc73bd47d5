"""What failed is tried again; what a reaction does, a button does as well."""

from __future__ import annotations

import pytest

from session import events as e
from tests.emulators.model.turns import HttpFault
from tests.journeys.conftest import OpenHouse
from tests.journeys.house import AGENT, BILLING
from tests.journeys.steps import FINISH, FIX, PROPOSE, WHOLE

NO_KEY = HttpFault(401, "Incorrect API key provided.", "invalid_api_key")


@pytest.mark.parametrize("way", ["reaction on the card", "reaction on the failure", "button"])
async def test_a_failed_card_is_tried_again(open_house: OpenHouse, way: str) -> None:
    async with open_house() as house:
        ada = await house.member("Ada")
        house.model.script(AGENT, NO_KEY)
        thread = await ada.asks("round half a cent up")
        failure = await thread.hears("*That did not work:* The model provider refused the API key")
        assert "The work so far is saved." in failure.shown
        card = await thread.card("Failed")
        await thread.is_marked("warning")
        house.model.script(AGENT, FIX, FINISH)
        if way == "button":
            await ada.presses("Try again", card)
        else:
            await ada.reacts("repeat", card if way == "reaction on the card" else failure)
        await thread.hears("Half a cent is now rounded up.")
        await thread.card("Done")
        await thread.is_marked("white_check_mark")
        assert len(await thread.events(e.RetryRequested)) == 1
        await thread.holds_only("card", "failure", "answer")


@pytest.mark.parametrize("way", ["reaction", "button"])
async def test_an_approval_is_given_by_button_as_by_reaction(open_house: OpenHouse, way: str) -> None:
    async with open_house() as house:
        ada = await house.member("Ada")
        house.model.script(AGENT, *WHOLE)
        thread = await ada.asks("round half a cent up")
        asked = await thread.hears("May I publish this?")
        if way == "button":
            await ada.presses("✅ Approve", asked)
        else:
            await ada.reacts("+1::skin-tone-3", asked)
        await thread.hears("Half a cent is now rounded up.")
        await house.slack.wait_for(lambda: "Approved by Ada, and done." in asked.shown)
        assert "✅ Approve" not in asked.buttons
        assert list(house.github.repository(BILLING).pulls) == [1]
        await thread.holds_only("card", "approval", "answer")


@pytest.mark.parametrize("way", ["reaction", "button"])
async def test_a_no_is_told_to_the_agent_and_nothing_is_opened(open_house: OpenHouse, way: str) -> None:
    async with open_house() as house:
        ada = await house.member("Ada")
        house.model.script(AGENT, FIX, PROPOSE, FINISH)
        thread = await ada.asks("round half a cent up")
        asked = await thread.hears("May I publish this?")
        if way == "button":
            await ada.presses("🛑 No", asked)
        else:
            await ada.reacts("x", asked)
        await thread.hears("Half a cent is now rounded up.")
        await house.slack.wait_for(lambda: "Ada said no." in asked.shown)
        [told] = [r for r in await thread.events(e.ToolReturned) if r.tool == "open_pull_request"]
        assert "refused by Ada" in told.output
        assert house.github.repository(BILLING).pulls == {}
        assert await house.github.branch_head(BILLING, "main") is not None
        await thread.holds_only("card", "approval", "answer")
