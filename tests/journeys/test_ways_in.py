"""Every way to ring: a direct message, a bell under somebody's message, a question and its answer."""

from __future__ import annotations

from tests.emulators.model.turns import say_json, tool
from tests.journeys.conftest import OpenHouse
from tests.journeys.house import AGENT, CLASSIFIER
from tests.journeys.steps import FINISH
from tests.journeys.thread import Thread

SURE = say_json(
    kind="repository",
    repository="acme/billing",
    confidence=0.95,
    reason="invoices live there",
    alternatives=[],
)


async def test_a_direct_message_is_a_request_and_the_model_finds_where(
    open_house: OpenHouse,
) -> None:
    async with open_house() as house:
        ada = await house.member("Ada")
        house.model.script(CLASSIFIER, SURE)
        house.model.script(AGENT, FINISH)
        thread = Thread(
            house.slack, house.core, await ada.slack.say_directly("our invoices are off by a cent")
        )
        await thread.hears("Half a cent is now rounded up.")
        await thread.card("acme/billing @ main")
        await thread.holds_only("card", "answer")


async def test_a_bell_under_a_message_takes_it_with_its_thread(open_house: OpenHouse) -> None:
    async with open_house() as house:
        ada, linus = await house.member("Ada"), await house.member("Linus", role="viewer")
        said = await linus.slack.say(house.billing, "totals are off by a cent", mention_bot=False)
        house.model.script(AGENT, FINISH)
        await ada.reacts("bellhop_bell", said)
        thread = Thread(house.slack, house.core, said)
        await thread.hears("Half a cent is now rounded up.")
        view = await thread.view()
        assert view.requester.name == "Ada"
        [request] = house.model.requests_to(AGENT)
        assert "totals are off by a cent" in "\n".join(m.text for m in request.said_by("user"))
        await thread.holds_only("card", "answer")


async def test_a_question_of_the_agent_is_answered_in_the_thread(open_house: OpenHouse) -> None:
    async with open_house() as house:
        ada, grace = await house.member("Ada"), await house.member("Grace")
        ask = tool("ask_user", question="Up, or to even?", options=["Up", "To even"])
        house.model.script(AGENT, ask, ask, FINISH)
        thread = await ada.asks("round half a cent")
        await ada.presses("Up", await thread.hears("A question before I go on:"))
        await thread.sees(lambda view: view.turns == 1 and len(house.model.requests_to(AGENT)) == 2, "asked")
        await thread.reaches("awaiting_answer")
        await grace.replies(thread, "up, of course")
        await thread.hears("Half a cent is now rounded up.")
        told = [m.text for m in house.model.requests_to(AGENT)[-1].said_by("tool")]
        assert "Up" in told[0]
        assert "up, of course" in told[1]
        await thread.holds_only("card", "question", "question", "answer")


async def test_people_talking_to_each_other_are_left_alone(open_house: OpenHouse) -> None:
    async with open_house() as house:
        ada, grace = await house.member("Ada"), await house.member("Grace")
        linus = await house.member("Linus")
        house.model.script(AGENT, FINISH)
        thread = await ada.asks("round half a cent up")
        await thread.hears("Half a cent is now rounded up.")
        await grace.replies(thread, f"<@{linus.slack.id}> shall we have lunch?", mention=False)
        await linus.replies(thread, "in ten minutes", mention=False)
        await house.slack.wait_for_delivery()
        assert len((await thread.view()).prompts) == 1
        await thread.holds_only("card", "answer")
