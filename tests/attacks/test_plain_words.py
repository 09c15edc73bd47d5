"""By plain words somebody has done what they may not do by a button.

Asset: whether a session goes on and where it works; what holds for a whole channel. Attacker: a colleague in
the same thread who may ask for work, but is neither who asked here nor an approver, and no admin. Path: short
messages that the fast model reads, `!repo`, a command to the bot, and a model that reads more into them than
stands there. Control: whatever words are taken for, the right to it is asked as for the button; repositories
are those of the catalogue; channels are changed by admins alone.
"""

from __future__ import annotations

from functools import partial

from session import events as e
from session.channel_rules import channel_of
from tests.attacks.conftest import OpenHouse
from tests.attacks.frame import Control, refuted
from tests.emulators.model.turns import Held, say_json
from tests.journeys.house import AGENT, BILLING, CLASSIFIER
from tests.journeys.steps import FINISH, LOOK

_STOP = "            access.may_stop(actor, view)\n            stops = "
_MOVE = "        access.may_pick(actor, view)\n        check_movable(view)\n        if view.turn_open"
_ADMIN = 'if not reaches(await self._directory.role(by.id), "admin"):'
CONTROLS = (
    Control("session/words.py", ((_STOP, "            stops = "),)),
    Control("session/words.py", ((_MOVE, "        check_movable(view)\n        if view.turn_open"),)),
    Control("session/channel_rules.py", ((_ADMIN, "if not all(channel.key):"),)),
)
PROOF = "test_somebody_else"

TAKEN_FOR = {"size": None, "model": None, "repository": None, "confidence": 0.99}


def of(words: str, event: e.WordsUnderstood) -> bool:
    """Whether the event is about these words; a directive alone leaves none."""
    return event.text == ("" if words.startswith("!") else words)


async def test_somebody_else_neither_stops_nor_moves_a_session(open_house: OpenHouse) -> None:
    async with open_house() as house:
        ada, mallory = await house.member("Ada"), await house.member("Mallory", role="prompter")
        held = Held(LOOK)
        house.model.script(AGENT, held, FINISH)
        thread = await ada.asks("round half a cent up")
        await held.reached.wait()

        for words, read_as in (
            ("could you halt for now", {"intent": "stop"}),
            ("do this in web instead", {"intent": "move_repository", "repository": "acme/web"}),
            ("!repo acme/web", None),
        ):
            if read_as is not None:
                house.model.script(CLASSIFIER, say_json(**{**TAKEN_FOR, **read_as}))
            await mallory.replies(thread, words)
            await thread.event(e.WordsUnderstood, partial(of, words))
            view = await thread.view()
            refuted(view.turn_open and view.stop_requested is None, f"“{words}” stopped Ada's session")

        held.release()
        await thread.hears("Half a cent is now rounded up.")
        view = await thread.view()
        refuted(view.repository is not None and view.repository.slug == BILLING, "words moved Ada's session")
        await thread.is_told()


async def test_somebody_else_sets_nothing_for_a_channel(open_house: OpenHouse) -> None:
    async with open_house() as house:
        ada, mallory = await house.member("Ada"), await house.member("Mallory", role="prompter")
        house.model.script(AGENT, FINISH)
        thread = await ada.asks("round half a cent up")
        await thread.hears("Half a cent is now rounded up.")
        answers = []
        for command in ("channel repo acme/web", "channel words the=acme/web", "channel mentions off"):
            answered = await mallory.asks(f"preferences {command}")
            answers.append(await answered.hears("channel"))
        rules = await house.core.customs.channels.of(channel_of((await thread.view()).origin))
        refuted(rules.says_nothing, "who is no admin changed what holds for everybody in the channel")
        assert all("is set by admins" in answer.shown for answer in answers)
        await thread.is_told()
