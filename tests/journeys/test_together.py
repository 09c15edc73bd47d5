"""Several people in one thread: who asked for what stays known, up to the commits."""

from __future__ import annotations

from session import events as e
from tests.emulators.model.turns import Held
from tests.journeys.conftest import OpenHouse
from tests.journeys.house import AGENT, BILLING
from tests.journeys.steps import FINISH, FIX, LOOK, NOTE, PROPOSE


async def test_a_follow_up_waits_its_turn_and_is_its_authors(
    open_house: OpenHouse, database_url: str
) -> None:
    async with open_house(database_url=database_url) as house:
        ada, grace = await house.member("Ada"), await house.member("Grace")
        held = Held(LOOK)
        house.model.script(AGENT, held, FIX, PROPOSE, FINISH, NOTE, PROPOSE, FINISH)
        thread = await ada.asks("round half a cent up")
        await held.reached.wait()
        follow_up = await grace.replies(thread, "also write it down in NOTES.md")
        assert (await thread.prompt("also write")).author.name == "Grace"
        await thread.is_marked("eyes", follow_up)
        await thread.card("In line")
        assert len((await thread.view()).waiting_prompts) == 1
        held.release()
        await ada.reacts("white_check_mark", await thread.hears("Open a pull request: Round half a cent up"))
        await thread.hears("Pull request #1")

        update = await thread.hears("Update pull request #1")
        await grace.reacts("+1", update)
        await thread.sees(lambda view: view.turns == 2 and view.state == "idle", "the follow-up is done")
        await thread.is_marked("white_check_mark", follow_up)
        card = await thread.card("Done")
        assert "Ada, Grace" in card.shown

        assert house.github.pull(BILLING, 1).author.login == "ada"
        first, second = await house.commits(BILLING, "main", house.github.pull(BILLING, 1).branch)
        assert first.startswith("Ada\nRound half a cent up")
        assert "Co-authored-by" not in first
        assert second.startswith("Grace\n")
        assert "Co-authored-by: Ada <" in second
        started = [event.prompt_id for event in await thread.events(e.TurnStarted)]
        assert started == [item.prompt.id for item in (await thread.view()).prompts]
        await thread.holds_only("card", "approval", "answer", "approval", "answer")
