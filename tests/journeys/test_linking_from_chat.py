"""Somebody whose account is not linked links it from chat, and the work goes on in their name."""

from __future__ import annotations

import re

from tests.journeys.conftest import OpenHouse
from tests.journeys.house import AGENT, BILLING
from tests.journeys.steps import WHOLE


async def test_never_linked_told_how_linked_by_a_code_and_tried_again(open_house: OpenHouse) -> None:
    async with open_house() as house:
        house.github.sign_in.devices.interval = 0.1
        ada = await house.member("Ada", linked=False)
        thread = await ada.asks("round half a cent up")
        failure = await thread.hears("Ada has no linked account on github")
        assert "“link”" in failure.shown

        direct = await ada.slack.say_directly("link github")
        told = await house.slack.wait_for_post(direct, "To link your GitHub account")
        assert told.ephemeral_for == ada.slack.id
        code = re.search(r"[A-Z]{4}-[A-Z]{4}", told.shown)
        assert code is not None
        house.github.sign_in.devices.enter(code[0], "ada")
        await house.slack.wait_for_post(direct, "Linked: what you ask for is done as ada")

        house.model.script(AGENT, *WHOLE)
        await ada.reacts("repeat", await thread.card("Failed"))
        await ada.reacts("white_check_mark", await thread.hears("May I publish this?"))
        await thread.hears("Half a cent is now rounded up.")
        assert house.github.pull(BILLING, 1).author.login == "ada"
