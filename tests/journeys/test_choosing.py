"""Which repository: asked when it cannot be told, picked by those who may."""

from __future__ import annotations

from session import events as e
from tests.emulators.model.turns import rate_limited, say_json
from tests.journeys.conftest import OpenHouse
from tests.journeys.house import AGENT, CLASSIFIER
from tests.journeys.steps import FINISH

UNSURE = say_json(
    kind="unknown",
    repository=None,
    confidence=0.2,
    reason="It could be in either.",
    alternatives=["acme/web"],
)


async def test_asked_refused_to_the_one_and_picked_by_the_other(open_house: OpenHouse) -> None:
    async with open_house() as house:
        ada, linus = await house.member("Ada", role="prompter"), await house.member("Linus", role="prompter")
        house.model.script(CLASSIFIER, UNSURE)
        thread = await ada.asks("make it faster", house.general)
        question = await thread.hears("Which repository do you mean?")
        assert "It could be in either." in question.shown
        await thread.card("Waiting for you: which repository?")

        await linus.presses("acme/web", question)
        aside = await thread.hears("Only Ada or an approver can say which repository is meant here.")
        assert aside.ephemeral_for == linus.slack.id
        assert (await thread.view()).state == "awaiting_repository"

        house.model.script(AGENT, FINISH)
        await ada.slack.pick(question, "Any other repository…", "acme/billing")
        await thread.hears("Repository: *acme/billing*, picked by Ada.")
        await thread.hears("Half a cent is now rounded up.")
        await thread.card("acme/billing @ main")
        assert [event.how for event in await thread.events(e.RepositoryChosen)] == ["picked"]
        await thread.holds_only("card", "repository", "answer")


async def test_the_name_alone_answers_the_question_and_the_model_may_be_down(open_house: OpenHouse) -> None:
    async with open_house() as house:
        ada = await house.member("Ada")
        house.model.script(CLASSIFIER, rate_limited())
        thread = await ada.asks("make it faster", house.general)
        question = await thread.hears("Which repository do you mean?")
        assert "the model did not answer" in question.shown
        house.model.script(AGENT, FINISH)
        await ada.replies(thread, "billing")
        await thread.hears("Half a cent is now rounded up.")
        await thread.holds_only("card", "repository", "answer")


async def test_names_that_cannot_be_used_are_said_and_asked_about(open_house: OpenHouse) -> None:
    async with open_house() as house:
        ada = await house.member("Ada")
        unknown = await ada.asks("!repo acme/biling\nround half a cent up", house.general)
        question = await unknown.hears("I do not know a repository called acme/biling.")
        assert "Did you mean acme/billing" in question.shown
        archived = await ada.asks("!repo acme/attic\nround half a cent up", house.general)
        question = await archived.hears("acme/attic is archived and takes no work")
        assert "acme/attic" not in question.buttons

        house.model.script(AGENT, FINISH, FINISH)
        await ada.presses("acme/billing", await unknown.hears("Which repository"))
        await unknown.hears("Half a cent is now rounded up.")
        await ada.presses("acme/web", await archived.hears("Which repository"))
        await archived.hears("Half a cent is now rounded up.")
        for thread in (unknown, archived):
            await thread.holds_only("card", "repository", "answer")


async def test_names_in_plain_words_count_for_more_than_the_channel(open_house: OpenHouse) -> None:
    async with open_house() as house:
        ada = await house.member("Ada")
        archived = await ada.asks("please fix the queue in acme/attic")
        await archived.hears("acme/attic is archived and takes no work")
        unknown = await ada.asks("please fix the queue in acme/letters.")
        await unknown.hears("I do not know a repository called acme/letters.")
        for thread in (archived, unknown):
            await thread.holds_only("card", "repository")
