"""Going round in circles is noticed, said once, and then put to people."""

from __future__ import annotations

import pytest

from sandbox.agent.stuck import EMPTY_NUDGE, PLAIN_TEXT_NUDGE, look
from session import events as e
from tests.sandbox.agent.records import ADA, TURN, call, recorded, returned, said, started, steps

SAME = ("make test", "boom")
OTHER = ("git diff", "")


def note(text: str) -> e.NoteAdded:
    return e.NoteAdded(turn_id=TURN, text=text)


def kind(*events: e.Event) -> str | None:
    remark = look(recorded(started(), *events))
    return remark.kind if remark else None


@pytest.mark.parametrize(("times", "expected"), [(1, None), (2, None), (3, "nudge"), (4, "ask"), (6, "ask")])
def test_the_same_call_with_the_same_result(times: int, expected: str | None) -> None:
    assert kind(*steps(*[SAME] * times)) == expected


def test_another_result_is_progress() -> None:
    assert kind(*steps(SAME, SAME, ("make test", "boom at line 2"))) is None


@pytest.mark.parametrize(("times", "expected"), [(5, None), (6, "nudge"), (7, None), (8, "ask"), (10, "ask")])
def test_back_and_forth(times: int, expected: str | None) -> None:
    assert kind(*steps(*([SAME, OTHER] * 5)[:times])) == expected


def test_a_remark_is_made_once() -> None:
    events = [*steps(SAME, SAME, SAME)]
    remark = look(recorded(started(), *events))
    assert remark is not None
    assert kind(*events, note(remark.text)) is None
    assert kind(*events, note(remark.text), *steps(SAME)) == "ask"


def test_an_answer_of_people_starts_the_count_anew() -> None:
    answered = e.QuestionAnswered(question_id="q", text="go on", by=ADA)
    assert kind(*steps(*[SAME] * 4), answered, *steps(SAME)) is None


def test_plain_text_gets_one_nudge_and_then_counts_as_the_answer() -> None:
    first = look(recorded(started(), said("All done.")))
    assert first is not None
    assert (first.kind, first.text) == ("nudge", PLAIN_TEXT_NUDGE)
    second = look(recorded(started(), said("All done."), note(PLAIN_TEXT_NUDGE), said("Really done.")))
    assert second is not None
    assert (second.kind, second.text) == ("finish", "Really done.")


def test_silence_is_nudged_and_at_the_fourth_time_asked_about() -> None:
    events: list[e.Event] = [started()]
    kinds = []
    for _ in range(4):
        events.append(said(""))
        remark = look(recorded(*events))
        assert remark is not None
        kinds.append(remark.kind)
        events.append(note(EMPTY_NUDGE))
    assert kinds == ["nudge", "nudge", "nudge", "ask"]


def test_calls_side_by_side_are_compared_as_a_whole() -> None:
    events: list[e.Event] = []
    for number in range(4):
        one, two = call("glob", pattern="*"), call("grep", pattern=str(number))
        events += [said("", one, two), returned(one, "a"), returned(two, "b")]
    assert kind(*events) is None
