"""Plain words in a thread, from Slack through the worker: another model, another repository."""

from __future__ import annotations

from session import events as e
from tests.emulators.model.turns import Held, say_json
from tests.journeys.conftest import OpenHouse
from tests.journeys.house import AGENT, CLASSIFIER
from tests.journeys.steps import FINISH, LOOK

NOTHING = {"size": None, "model": None, "repository": None, "confidence": 0.95}


async def test_another_model_and_another_repository_by_words(open_house: OpenHouse) -> None:
    async with open_house() as house:
        ada = await house.member("Ada")
        held = Held(LOOK)
        house.model.script(AGENT, held)
        house.model.script(
            CLASSIFIER,
            say_json(**{**NOTHING, "intent": "switch_model", "size": "smaller"}),
            say_json(**{**NOTHING, "intent": "move_repository", "repository": "acme/web"}),
        )
        thread = await ada.asks("round half a cent up")
        await held.reached.wait()
        await ada.replies(thread, "use a smaller model")
        await thread.hears("Going on with `gpt-5` from the next turn, instead of `gpt-5.2`.")

        house.model.script("gpt-5", FINISH)
        await ada.replies(thread, "do this in web instead")
        await thread.hears("Now in *acme/web*, starting afresh there. Left behind in acme/billing: ")
        await thread.hears("The sandbox is a new one.")
        await thread.hears("Half a cent is now rounded up.")
        await thread.card("acme/web @ main")
        assert [event.moving for event in await thread.events(e.SessionStopped)] == [True]
        assert not any("Stopped by" in message.shown for message in await thread.is_told())
        assert [event.model for event in await thread.events(e.TurnStarted)] == ["gpt-5.2", "gpt-5"]
        assert [event.slug for event in await thread.events(e.RepositoryChosen)] == [
            "acme/billing",
            "acme/web",
        ]
        assert [p.state for p in (await thread.view()).prompts] == ["done"]
