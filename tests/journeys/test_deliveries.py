"""Slack delivers at least once: however often it says the same, it is taken up once."""

from __future__ import annotations

import pytest

from session import events as e
from tests.journeys.conftest import OpenHouse
from tests.journeys.house import AGENT, BILLING, Way
from tests.journeys.steps import WHOLE


@pytest.mark.parametrize("way", ["socket", "http"])
async def test_each_event_four_times_is_one_session_and_one_pull_request(
    open_house: OpenHouse, way: Way
) -> None:
    async with open_house(way=way) as house:
        ada = await house.member("Ada")
        house.slack.repeat_events(4)
        house.model.script(AGENT, *WHOLE)
        thread = await ada.asks("round half a cent up")
        await ada.reacts("white_check_mark", await thread.hears("May I publish this?"))
        await thread.hears("Half a cent is now rounded up.")
        await house.slack.wait_for_delivery()
        assert await house.sessions() == [await thread.session()]
        assert len(await thread.events(e.PromptQueued)) == 1
        assert len(await thread.events(e.ApprovalGiven)) == 1
        assert list(house.github.repository(BILLING).pulls) == [1]
        await thread.holds_only("card", "approval", "answer")
