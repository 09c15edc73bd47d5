"""The merge: asked of somebody else than who asked for the change, done at the commit that was approved."""

from __future__ import annotations

from session import events as e
from tests.journeys.conftest import OpenHouse
from tests.journeys.house import AGENT, BILLING
from tests.journeys.steps import WHOLE

ASKED_TO_MERGE = {BILLING: {"approvals": {"pull_request": "ask", "merge": "ask"}}}


async def test_merged_by_another_approver_and_told_once(open_house: OpenHouse) -> None:
    async with open_house(repositories=ASKED_TO_MERGE) as house:
        ada, grace = await house.member("Ada"), await house.member("Grace")
        house.model.script(AGENT, *WHOLE)
        thread = await ada.asks("round half a cent up")
        await ada.reacts("white_check_mark", await thread.hears("May I publish this?"))
        merge = await thread.hears("May I merge this?")
        await ada.reacts("white_check_mark", merge)
        await thread.hears(
            "Ada, your own request is part of this change, so somebody else has to approve it."
        )
        assert house.github.pull(BILLING, 1).state == "open"

        await grace.reacts("white_check_mark", merge)
        await thread.hears("Pull request #1 was merged by grace.")
        await thread.card("#1 merged")
        pull = house.github.pull(BILLING, 1)
        assert pull.merged_at is not None
        assert pull.merged_by is not None
        assert pull.merged_by.login == "grace"
        await house.github.webhooks.settled()
        assert len(await thread.events(e.PullRequestStateChanged)) == 1
        await thread.holds_only("card", "approval", "answer", "approval", "notice")


async def test_closed_on_github_is_told_and_the_merge_is_off(open_house: OpenHouse) -> None:
    async with open_house(repositories=ASKED_TO_MERGE) as house:
        ada, grace = await house.member("Ada"), await house.member("Grace")
        house.model.script(AGENT, *WHOLE)
        thread = await ada.asks("round half a cent up")
        await ada.reacts("white_check_mark", await thread.hears("May I publish this?"))
        merge = await thread.hears("May I merge this?")
        await house.github.close(BILLING, 1, "grace")
        await thread.hears("Pull request #1 was closed by grace without merging.")
        await grace.reacts("white_check_mark", merge)
        await thread.hears("That can no longer be approved: the pull request is closed.")
        await thread.card("#1 closed")
        assert house.github.pull(BILLING, 1).merged_at is None
        await thread.holds_only("card", "approval", "answer", "approval", "notice")
