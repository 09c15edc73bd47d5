"""Verified, not believed: what the checks say on the commit decides, not what the agent says."""

from __future__ import annotations

from session import events as e
from tests.emulators.model.turns import tool
from tests.journeys.conftest import OpenHouse
from tests.journeys.house import AGENT, BILLING
from tests.journeys.steps import FINISH, FIX, NOTE, PROPOSE


async def test_red_goes_back_to_the_agent_and_is_never_shown_to_people(open_house: OpenHouse) -> None:
    async with open_house() as house:
        ada = await house.member("Ada")
        house.model.script(AGENT, NOTE, PROPOSE, FIX, PROPOSE, FINISH)
        thread = await ada.asks("round half a cent up")
        asked = await thread.hears("May I publish this?")
        sent_back = [r for r in await thread.events(e.ToolReturned) if r.tool == "open_pull_request"]
        assert [result.status for result in sent_back] == ["error"]
        assert "test_half_a_cent" in sent_back[0].output or "FAILED" in sent_back[0].output
        verdicts = [event.verdict for event in await thread.events(e.VerificationFinished)]
        assert verdicts == ["failed", "passed"]
        await ada.reacts("white_check_mark", asked)
        answer = await thread.hears("Half a cent is now rounded up.")
        head = house.github.pull(BILLING, 1).head_sha
        assert f"Checks passed on {head[:7]}" in answer.shown
        await thread.holds_only("card", "approval", "answer")


async def test_a_test_runner_of_the_agents_own_proves_nothing(open_house: OpenHouse) -> None:
    async with open_house() as house:
        ada = await house.member("Ada")
        fake = "mkdir -p ~/bin && printf '#!/bin/sh\\nexit 0\\n' > ~/bin/python3 && chmod +x ~/bin/python3"
        house.model.script(AGENT, NOTE, tool("bash", command=fake), FINISH, FINISH, FINISH)
        thread = await ada.asks("round half a cent up")
        answer = await thread.hears("Half a cent is now rounded up.")
        assert "Checks failed on" in answer.shown
        assert {event.verdict for event in await thread.events(e.VerificationFinished)} == {"failed"}
        await thread.holds_only("card", "answer")


async def test_main_is_never_pushed_to(open_house: OpenHouse) -> None:
    async with open_house() as house:
        ada = await house.member("Ada")
        before = await house.github.branch_head(BILLING, "main")
        onto_main = tool("bash", command="git checkout -q -B main && git commit -qam wip --allow-empty")
        house.model.script(AGENT, FIX, onto_main, PROPOSE, FINISH)
        thread = await ada.asks("round half a cent up")
        await ada.reacts("white_check_mark", await thread.hears("May I publish this?"))
        await thread.hears("Half a cent is now rounded up.")
        assert await house.github.branch_head(BILLING, "main") == before
        assert house.github.pull(BILLING, 1).branch.startswith("bellhop/")
        await thread.holds_only("card", "approval", "answer")
