"""The table of reactions, and the many spellings that fold into it."""

from __future__ import annotations

import pytest

from bot.messages import MessageKind
from bot.reactions import Intent, ReactionTable, short_name

TABLE = ReactionTable.standard()
KINDS: tuple[MessageKind | None, ...] = (
    "card",
    "approval",
    "question",
    "repository",
    "answer",
    "update",
    "failure",
    "notice",
    "request",
    None,
)
STOPS: dict[MessageKind | None, Intent] = {
    "approval": "refuse",
    "card": "stop",
    "request": "stop",
    "question": "stop",
    "repository": "stop",
}
DOES: dict[str, dict[MessageKind | None, Intent]] = {
    "white_check_mark": {"approval": "approve"},
    "+1": {"approval": "approve", "answer": "good"},
    "-1": {"answer": "bad"},
    "octagonal_sign": STOPS,
    "x": STOPS,
    "repeat": dict.fromkeys(("card", "failure", "notice", "request"), "retry"),
    "fork_and_knife": {"card": "fork", "answer": "fork"},
    "bellhop_bell": dict.fromkeys(KINDS, "start"),
    "bellhop": dict.fromkeys(KINDS, "start"),
    "tada": {},
}


@pytest.mark.parametrize("emoji", DOES)
@pytest.mark.parametrize("kind", KINDS)
def test_the_table(emoji: str, kind: MessageKind | None) -> None:
    assert TABLE.intent(emoji, kind) == DOES[emoji].get(kind)


@pytest.mark.parametrize("emoji", DOES)
@pytest.mark.parametrize("kind", KINDS)
def test_taking_an_emoji_away_can_only_take_a_yes_back(emoji: str, kind: MessageKind | None) -> None:
    yes = kind == "approval" and emoji in ("white_check_mark", "+1")
    assert TABLE.intent(emoji, kind, added=False) == ("withdraw" if yes else None)


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        ("✅", "white_check_mark"),
        (":white_check_mark:", "white_check_mark"),
        ("👍🏽", "+1"),
        ("+1::skin-tone-6", "+1"),
        ("🛎️", "bellhop_bell"),
        ("🛎", "bellhop_bell"),
        ("⚠️", "warning"),
        ("Bellhop", "bellhop"),
        ("🏽", "🏽"),
    ],
)
def test_spellings_fold(spelling: str, name: str) -> None:
    assert short_name(spelling) == name


def test_a_workspace_may_add_names_of_its_own() -> None:
    table = ReactionTable.standard({"yes": [":ship-it:", "🚀"]})
    assert table.intent("ship-it", "approval") == "approve"
    assert table.intent("🚀", "approval") == "approve"
    assert table.intent("✅", "approval") == "approve"
    assert TABLE.intent("ship-it", "approval") is None
