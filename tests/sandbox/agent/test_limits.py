"""A turn asks before it goes on without end."""

from __future__ import annotations

from sandbox.agent.limits import TurnLimits
from session import events as e
from tests.sandbox.agent.records import ADA, TURN, recorded, said, started


def kind(limits: TurnLimits, *events: e.Event) -> str | None:
    remark = limits.look(recorded(started(), *events))
    return remark.kind if remark else None


def test_a_warning_once_and_then_a_question() -> None:
    limits = TurnLimits(10)
    warned = e.NoteAdded(turn_id=TURN, text=limits.warning)
    assert kind(limits, *[said("x")] * 7) is None
    assert kind(limits, *[said("x")] * 8) == "nudge"
    assert kind(limits, *[said("x")] * 8, warned) is None
    assert kind(limits, *[said("x")] * 9, warned) is None
    assert kind(limits, *[said("x")] * 10, warned) == "ask"


def test_an_answer_gives_as_much_again() -> None:
    answered = e.QuestionAnswered(question_id="q", text="go on", by=ADA)
    assert kind(TurnLimits(10), *[said("x")] * 10, answered, *[said("x")] * 5) is None
