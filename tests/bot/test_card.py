"""What the card shows in each state, word for word, and what can be done there."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.card import at_once, status_card
from bot.platforms.console.wording import plain_text
from session.people import Person
from session.view import State
from tests.bot.views import ADA, CHOSEN, READY, STARTED, STATES, view_of

SNAPSHOT = Path(__file__).with_name("cards.txt")
URL = "https://bellhop.example.com"


def all_cards() -> str:
    """Every card, as the console shows it."""
    shown = (
        f"== {name}\n{plain_text(status_card(view_of(*events), public_url=URL))}"
        for name, events in STATES.items()
    )
    return "\n\n".join(shown) + "\n"


def test_every_state_reads_as_it_was_agreed() -> None:
    """To agree to new wording: `python -m tests.bot.test_card`, then read the difference."""
    assert all_cards() == SNAPSHOT.read_text(encoding="utf-8")


def test_there_is_a_card_for_every_state() -> None:
    shown = {view_of(*events).state for events in STATES.values()}
    assert shown == set(State.__args__)  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", STATES)
def test_only_what_can_be_done_now_is_offered(name: str) -> None:
    view = view_of(*STATES[name])
    actions = [button.action for button in status_card(view, public_url=URL).buttons]
    stoppable = name not in (
        "stopping",
        "idle",
        "contained",
        "idle_with_an_approval",
        "stopped",
        "failed",
        "failed_and_unsaved",
        "archived",
    )
    assert ("stop" in actions) == stoppable
    assert ("retry" in actions) == (name in ("stopped", "failed", "failed_and_unsaved"))


@pytest.mark.parametrize("name", STATES)
def test_only_work_that_moves_along_may_be_shown_late(name: str) -> None:
    late = (
        "starting",
        "running",
        "running_with_a_line",
        "degraded",
        "degraded_broker",
        "held_back",
        "held_back_and_lifted",
        "with_secrets",
    )
    assert at_once(view_of(*STATES[name])) == (name not in late)


def test_an_unknown_price_is_not_passed_off_as_nothing() -> None:
    view = view_of(*STATES["running"]).model_copy(update={"cost_known": False})
    assert ("Cost", "at least $0.03") in status_card(view, public_url=URL).facts


def test_a_rebuilt_workspace_says_what_came_back_or_that_nothing_is_kept() -> None:
    gone = READY.model_copy(update={"replaced": True, "let_go": True})
    for ready, note in (
        (READY.model_copy(update={"replaced": True}), "The workspace was rebuilt"),
        (gone, "The workspace was rebuilt; the saved work is not kept any more"),
        (gone.model_copy(update={"restored": "all is back"}), "The workspace was rebuilt; all is back"),
    ):
        assert note in status_card(view_of(CHOSEN, STARTED, ready), public_url=URL).notes


def test_a_session_nobody_prompted_any_more_still_names_who_asked() -> None:
    view = view_of(*STATES["routing"]).model_copy(
        update={"prompts": (), "requester": Person(id="p9", name="Linus")}
    )
    assert ("Asked by", "Linus") in status_card(view, public_url=URL).facts
    assert ADA.name not in plain_text(status_card(view, public_url=URL))


if __name__ == "__main__":
    SNAPSHOT.write_text(all_cards(), encoding="utf-8")
