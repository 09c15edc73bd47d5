"""The fold: pure, whole, and never left with work that nobody does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from pydantic_core import PydanticUndefined

from session import events as e
from session.fold import FoldError, apply, fold
from session.people import Person
from session.rules import rule
from session.view import SessionView
from tests.session.people import ORIGIN, prompt
from tests.session.walks import Walk

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
ADA = Person(id="p1", name="Ada")
OPENED = e.SessionOpened(title="Fix it", origin=ORIGIN, requester=ADA)
SAMPLES: dict[str, Any] = {
    "str": "x",
    "int": 1,
    "float": 1.5,
    "bool": True,
    "datetime": AT,
    "Decimal": Decimal("0.25"),
    "Person": ADA,
    "Origin": ORIGIN,
    "Prompt": prompt(ADA),
    "ApprovalKind": "merge",
    "PullRequestState": "merged",
    "Verdict": "failed",
    "ToolStatus": "error",
}


def sample(event_type: type[e.Event]) -> e.Event:
    """An event of that type with something in every field that must be there."""
    values: dict[str, Any] = {}
    for name, field in event_type.model_fields.items():
        if field.default is not PydanticUndefined:
            continue
        kind = getattr(field.annotation, "__name__", "")
        choices = get_args(field.annotation)
        if kind in SAMPLES:
            values[name] = SAMPLES[kind]
        elif str(field.annotation).startswith("tuple"):
            values[name] = ()
        else:
            first = next(iter(choices))
            values[name] = SAMPLES[first.__name__] if isinstance(first, type) else first
    return event_type(**values)


def placed(events: list[e.Event], start: int = 1) -> list[e.Recorded]:
    return [
        e.Recorded("s", seq, AT + timedelta(seconds=seq), event) for seq, event in enumerate(events, start)
    ]


@pytest.mark.parametrize("name", sorted(e.EVENT_TYPES))
def test_every_event_survives_the_log_and_has_a_rule(name: str) -> None:
    event = sample(e.EVENT_TYPES[name])
    written, body = e.encode(event)
    assert written == name
    assert e.decode(written, body) == event
    assert type(event) in rule.registry
    if name != "SessionOpened":
        after = fold(placed([OPENED, event]))
        assert after.seq == 2


def test_what_is_not_declared_is_refused() -> None:
    with pytest.raises(e.UnknownEvent, match="Dreamt"):
        e.decode("Dreamt", "{}")
    with pytest.raises(e.UnknownEvent, match="mood"):
        e.decode("TitleChanged", '{"title": "x", "mood": "good"}')
    with pytest.raises(ValidationError):
        e.TitleChanged(title="x", mood="good")  # type: ignore[call-arg]


def test_a_log_with_a_gap_is_not_folded() -> None:
    records = placed([OPENED, e.TitleChanged(title="a"), e.TitleChanged(title="b")])
    with pytest.raises(FoldError):
        fold([records[0], records[2]])
    with pytest.raises(FoldError):
        fold(records[1:])
    with pytest.raises(FoldError):
        fold([])
    with pytest.raises(FoldError):
        apply(fold(records[:1]), e.Recorded("other", 2, AT, e.TitleChanged(title="c")))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_walk_folds_the_same_in_one_go_step_by_step_and_from_a_kept_view(data: st.DataObject) -> None:
    walk = Walk(data.draw)
    walk.take(data.draw(st.integers(1, 25)))
    records = walk.records
    whole = fold(records)
    stepwise: SessionView | None = None
    for record in records:
        stepwise = apply(stepwise, record)
    cut = data.draw(st.integers(1, len(records)))
    assert whole == stepwise == fold(records[cut:], fold(records[:cut])) == walk.view


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_no_walk_leaves_a_prompt_waiting_that_nobody_drives(data: st.DataObject) -> None:
    walk = Walk(data.draw)
    for _ in range(data.draw(st.integers(1, 60))):
        walk.take(1)
        walk.check()
