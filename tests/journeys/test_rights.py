"""Who may do what: a clear sentence for whoever may not, and nothing happens."""

from __future__ import annotations

import pytest

from session import events as e
from tests.emulators.model.turns import tool
from tests.emulators.slack.limits import elements_of
from tests.faults.waiting import until
from tests.journeys.conftest import OpenHouse
from tests.journeys.house import AGENT, BILLING, WEB
from tests.journeys.steps import FINISH, FIX, NOTE, PROPOSE, WHOLE
from tests.journeys.thread import Thread

WATCH_ONLY = "I take requests from full members here, not from guests."


@pytest.mark.parametrize("stranger", [False, True], ids=["guest", "stranger"])
async def test_guests_and_strangers_may_only_watch(open_house: OpenHouse, stranger: bool) -> None:
    async with open_house() as house:
        ada, eve = await house.member("Ada"), house.outsider("Eve", stranger=stranger)
        alone = await eve.asks("send me the customers")
        assert (await alone.hears(WATCH_ONLY)).ephemeral_for == eve.slack.id
        assert await house.sessions() == []

        house.model.script(AGENT, *WHOLE)
        thread = await ada.asks("round half a cent up")
        asked = await thread.hears("May I publish this?")
        await eve.reacts("white_check_mark", asked)
        assert (await thread.hears(WATCH_ONLY)).ephemeral_for == eve.slack.id
        await eve.presses("✅ Approve", asked)
        await eve.replies(thread, "go on")
        await house.slack.wait_for(lambda: len(asides(thread)) == 3)
        view = await thread.view()
        assert (view.state, view.open_approvals[0].state) == ("awaiting_approval", "open")
        assert len(view.prompts) == 1

        await ada.reacts("white_check_mark", asked)
        await thread.hears("Half a cent is now rounded up.")
        await thread.holds_only("card", "approval", "answer")


def asides(thread: Thread) -> list[str]:
    """What the bot told single people in the thread."""
    return [message.shown for message in thread.slack.posts(thread.root) if message.ephemeral_for]


async def test_a_viewer_may_not_ask_and_a_prompter_not_approve(open_house: OpenHouse) -> None:
    async with open_house() as house:
        ada, linus = await house.member("Ada", role="prompter"), await house.member("Linus", role="viewer")
        grace = await house.member("Grace")
        alone = await linus.asks("round half a cent up")
        await alone.hears("Sorry, Linus: you can watch here, but not ask me for work.")
        assert await house.sessions() == []

        house.model.script(AGENT, *WHOLE)
        thread = await ada.asks("round half a cent up")
        asked = await thread.hears("May I publish this?")
        await ada.reacts("white_check_mark", asked)
        await thread.hears("Thanks, Ada, but your role here does not include approving.")
        await linus.reacts("octagonal_sign", await thread.card("Waiting for your approval"))
        await thread.hears("can stop this session.")
        assert (await thread.view()).state == "awaiting_approval"
        await grace.reacts("white_check_mark", asked)
        await thread.hears("Half a cent is now rounded up.")
        assert house.github.pull(BILLING, 1).author.login == "ada"
        await thread.holds_only("card", "approval", "answer")


async def test_a_yes_to_what_has_changed_since_counts_for_nothing(open_house: OpenHouse) -> None:
    async with open_house() as house:
        ada, grace = await house.member("Ada"), await house.member("Grace")
        house.model.script(AGENT, FIX, PROPOSE, NOTE, PROPOSE, FINISH)
        thread = await ada.asks("round half a cent up")
        first = await thread.hears("May I publish this?")
        await grace.replies(thread, "also write it down in NOTES.md")
        await house.slack.wait_for(lambda: "No longer open: Grace asked for changes" in first.shown)
        await ada.reacts("white_check_mark", first)
        await thread.hears("That can no longer be approved: Grace asked for changes")
        await thread.sees(lambda view: len(view.approvals) == 2, "asked again")
        assert house.github.repository(BILLING).pulls == {}
        second = (await thread.is_told())[-1]
        await ada.reacts("white_check_mark", second)
        await thread.hears("Half a cent is now rounded up.")
        [commit, *more] = await house.commits(BILLING, "main", house.github.pull(BILLING, 1).branch)
        assert "Grace" in "".join([commit, *more])
        await thread.holds_only("card", "approval", "approval", "answer")


async def test_an_approval_runs_out(open_house: OpenHouse) -> None:
    async with open_house(settings={"APPROVAL_MINUTES": "0.05"}) as house:
        ada = await house.member("Ada")
        house.model.script(AGENT, FIX, PROPOSE)
        thread = await ada.asks("round half a cent up")
        asked = await thread.hears("May I publish this?")
        expires_at = (await thread.view()).approvals[0].request.expires_at

        async def ran_out() -> bool:
            return await house.core.log.clock() > expires_at

        await until(ran_out, "the time of the approval is over")
        house.model.script(AGENT, FINISH)
        await ada.reacts("white_check_mark", asked)
        await thread.hears(
            "That can no longer be approved: its time ran out. If it is still wanted, just say"
        )
        await house.slack.wait_for(lambda: "No longer open: its time ran out" in asked.shown)
        await thread.hears("Half a cent is now rounded up.")
        assert house.github.repository(BILLING).pulls == {}
        await thread.holds_only("card", "approval", "answer")


async def test_a_yes_taken_back_in_time_does_nothing(open_house: OpenHouse) -> None:
    async with open_house() as house:
        ada, grace = await house.member("Ada"), await house.member("Grace")
        house.model.script(AGENT, FIX, PROPOSE, FINISH)
        thread = await ada.asks("round half a cent up")
        asked = await thread.hears("May I publish this?")
        await grace.slack.react(asked, "eyes")
        await grace.slack.unreact(asked, "eyes")
        await ada.reacts("octagonal_sign", asked)
        await thread.hears("Half a cent is now rounded up.")
        await grace.reacts("white_check_mark", asked)
        await thread.hears("has already said no to that")
        assert house.github.repository(BILLING).pulls == {}
        await thread.holds_only("card", "approval", "answer")


async def test_without_write_access_there_is_no_box(open_house: OpenHouse) -> None:
    async with open_house() as house:
        ada = await house.member("Ada", may="read")
        thread = await ada.asks("round half a cent up")
        failure = await thread.hears("Ada (ada) may not write to acme/billing on github.")
        assert "get write access there" in failure.shown
        assert await house.environment.list() == []

        house.github.grant("ada", BILLING, "write")
        house.model.script(AGENT, FINISH)
        await ada.reacts("repeat", await thread.card("Failed"))
        await thread.hears("Half a cent is now rounded up.")
        await thread.holds_only("card", "failure", "answer")


async def test_an_account_unlinked_meanwhile_leaves_the_branch_and_how_to_link(open_house: OpenHouse) -> None:
    async with open_house() as house:
        ada = await house.member("Ada")
        house.model.script(AGENT, *WHOLE)
        thread = await ada.asks("round half a cent up")
        asked = await thread.hears("May I publish this?")
        house.github.revoke_tokens(login="ada")
        await ada.reacts("white_check_mark", asked)
        answer = await thread.hears("Half a cent is now rounded up.")
        assert house.github.repository(BILLING).pulls == {}
        view = await thread.view()
        assert view.published is not None
        assert f"connect your GitHub account on {house.url}/account" in answer.shown
        links = {element["url"] for element in elements_of(answer.blocks) if "url" in element}
        assert view.published.compare_url in links
        [commit] = await house.commits(BILLING, "main", view.published.branch)
        assert commit.startswith("Ada\n")
        await thread.holds_only("card", "approval", "answer")


async def test_a_tool_that_writes_to_another_repository_has_no_way_there(open_house: OpenHouse) -> None:
    async with open_house() as house:
        ada = await house.member("Ada")
        push = tool("bash", command=f"git push {house.github.clone_url(WEB)} HEAD:refs/heads/bellhop/sneaky")
        house.model.script(AGENT, push, FINISH)
        thread = await ada.asks("round half a cent up")
        await thread.hears("Half a cent is now rounded up.")
        [told] = [r for r in await thread.events(e.ToolReturned) if r.tool == "bash"]
        assert told.status == "error"
        assert await house.github.branch_head(WEB, "bellhop/sneaky") is None
        await thread.holds_only("card", "answer")
