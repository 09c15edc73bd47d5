"""A conversation that fills its window is shortened once, and aloud when that does not help."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from sandbox.agent import transcript
from sandbox.agent.compaction import SUMMARY_REQUEST, CompactionFailed, compact, estimate, is_due
from sandbox.agent.model import (
    ContextOverflow,
    ModelMessage,
    ModelReply,
    OnText,
    ToolSchema,
    Usage,
    UserMessage,
)
from sandbox.agent.model_catalogue import ModelSpec
from session import events as e
from tests.sandbox.agent.records import TURN, call, queued, recorded, returned, said, started

SPEC = ModelSpec("m", 11_000, 1_000, None, vision=False, reasoning=False)
ROOM = 10_000


class Summariser:
    """A model that answers with `summary`, and says that more than `window` characters are too many."""

    def __init__(self, summary: str, window: int = 10**9) -> None:
        self._summary = summary
        self._window = window
        self.asked: list[Sequence[ModelMessage]] = []

    async def reply(
        self, messages: Sequence[ModelMessage], tools: Sequence[ToolSchema], *, on_text: OnText | None = None
    ) -> ModelReply:
        self.asked.append(messages)
        if estimate(messages) * 4 > self._window:
            raise ContextOverflow("too long")
        return ModelReply(self._summary, (), Usage(1, 0, 1), "stop", "m")


def conversation(rounds: int, output: str, text: str = "") -> list[e.Recorded]:
    events: list[e.Event] = [queued("Fix it"), started()]
    for number in range(rounds):
        request = call("bash", command=f"step {number}")
        events += [said(text, request, input_tokens=8500), returned(request, f"{output} {number}")]
    return recorded(*events)


def after(records: list[e.Recorded], event: e.ContextCompacted) -> list[ModelMessage]:
    events = [record.event for record in records]
    return transcript.messages(recorded(*events, event), "SYSTEM", vision=False)


def test_it_is_due_by_the_providers_count_and_only_once() -> None:
    assert not is_due(recorded(started(), said("x", input_tokens=7000)), SPEC)
    full = [started(), said("x", input_tokens=8000)]
    assert is_due(recorded(*full), SPEC)
    assert not is_due(recorded(*full, e.ContextCompacted(turn_id=TURN, cleared_before=2)), SPEC)


async def test_clearing_outputs_comes_first_and_needs_no_model() -> None:
    records = conversation(12, "x" * 3000)
    model = Summariser("unused")
    event = await compact(records, TURN, "SYSTEM", SPEC, model)
    assert model.asked == []
    assert event.summary == ""
    shortened = after(records, event)
    assert estimate(shortened) < ROOM / 2
    assert "x 11" in "".join(str(message) for message in shortened[-1:])


async def test_a_summary_follows_when_the_words_themselves_are_many() -> None:
    records = conversation(12, "ok", text="y" * 3000)
    model = Summariser("Goal: fix it. Left: the tests.")
    event = await compact(records, TURN, "SYSTEM", SPEC, model)
    assert event.summary == "Goal: fix it. Left: the tests."
    assert model.asked[0][-1] == UserMessage.of(SUMMARY_REQUEST)
    shortened = after(records, event)
    assert estimate(shortened) < ROOM / 2
    assert "Fix it" in str(shortened[1])
    assert "Left: the tests." in str(shortened[2])


async def test_a_conversation_too_long_to_be_summarised_whole_is_cut_for_it() -> None:
    records = conversation(12, "ok", text="y" * 3000)
    model = Summariser("Short.", window=20_000)
    event = await compact(records, TURN, "SYSTEM", SPEC, model)
    assert event.summary == "Short."
    assert len(model.asked) == 2


async def test_what_does_not_shrink_is_said_aloud() -> None:
    records = conversation(3, "ok", text="z" * 200)
    with pytest.raises(CompactionFailed, match="no longer fits"):
        await compact(records, TURN, "SYSTEM", SPEC, Summariser("w" * 4000))
