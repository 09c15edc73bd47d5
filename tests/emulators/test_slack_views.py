"""The emulated Slack's views are as strict as the real ones."""

from __future__ import annotations

from typing import Any

import pytest

from tests.emulators.slack.refusals import Refused
from tests.emulators.slack.views import TRIGGER_SECONDS, Views, check_view
from tests.emulators.slack.watch import Watch
from tests.emulators.slack.workspace import User, Workspace

LINE = {"type": "divider"}
INPUT = {
    "type": "input",
    "label": {"type": "plain_text", "text": "Name"},
    "element": {"type": "plain_text_input", "action_id": "name"},
}


def home(*blocks: object) -> dict[str, Any]:
    return {"type": "home", "blocks": list(blocks) or [LINE]}


def modal(**more: object) -> dict[str, Any]:
    return {"type": "modal", "title": {"type": "plain_text", "text": "Title"}, "blocks": [LINE], **more}


def views(trigger_seconds: float = TRIGGER_SECONDS) -> tuple[Views, User]:
    workspace = Workspace(Watch())
    ada = User("U1", "Ada")
    workspace.users[ada.id] = ada
    return Views(workspace, trigger_seconds), ada


def test_a_hash_holds_until_the_next_change() -> None:
    made, ada = views()
    first = made.publish(ada.id, home()).hash
    assert made.publish(ada.id, home(LINE, LINE), first).hash != first
    with pytest.raises(Refused, match="hash_conflict"):
        made.publish(ada.id, home(), first)
    assert len(made.homes[ada.id].blocks) == 2
    opened = made.open(made.new_trigger(ada), modal())
    before = opened.hash
    made.update(opened.id, modal(), before)
    with pytest.raises(Refused, match="hash_conflict"):
        made.update(opened.id, modal(), before)


def test_a_trigger_opens_one_modal_within_its_time() -> None:
    made, ada = views()
    trigger = made.new_trigger(ada)
    made.open(trigger, modal())
    with pytest.raises(Refused, match="exchanged_trigger_id"):
        made.open(trigger, modal())
    with pytest.raises(Refused, match="invalid_trigger_id"):
        made.open("guessed", modal())
    late, ada = views(trigger_seconds=-1.0)
    with pytest.raises(Refused, match="expired_trigger_id"):
        late.open(late.new_trigger(ada), modal())


@pytest.mark.parametrize(
    ("view", "kind"),
    [
        (home(*[LINE] * 101), "home"),
        (home(INPUT), "home"),
        (modal(blocks=[INPUT]), "modal"),
        (modal(title={"type": "plain_text", "text": "x" * 25}), "modal"),
        (modal(submit={"type": "plain_text", "text": "x" * 25}), "modal"),
        (modal(private_metadata="x" * 3_001), "modal"),
        (modal(callback_id="x" * 256), "modal"),
        (home(), "modal"),
    ],
)
def test_what_slack_would_not_take_is_refused(view: dict[str, Any], kind: str) -> None:
    with pytest.raises(Refused):
        check_view(view, kind)


def test_what_just_fits_is_taken() -> None:
    check_view(home(*[LINE] * 100), "home")
    fits = {"title": {"type": "plain_text", "text": "x" * 24}, "private_metadata": "x" * 3_000}
    check_view(modal(**fits, submit={"type": "plain_text", "text": "Go"}), "modal")
