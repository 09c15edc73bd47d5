"""Noticing that a turn goes round in circles, from its records alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from session import events as e

REPEATS_TO_NUDGE = 3
REPEATS_TO_ASK = 4
ALTERNATIONS_TO_NUDGE = 6
ALTERNATIONS_TO_ASK = 8

PLAIN_TEXT_NUDGE = (
    "That was text without a tool call. If the work is done, call finish with a summary; "
    "if you need something from a person, call ask_user; otherwise go on with the next tool call."
)
EMPTY_NUDGE = "That answer was empty. Go on with the next tool call, or call finish."


@dataclass(frozen=True, slots=True)
class Remark:
    """What the harness does about the last step.

    nudge: `text` goes to the agent. ask: the turn pauses and `text` goes to people. finish: the agent has
    stopped working without saying so, and `text` counts as its answer.
    """

    kind: Literal["nudge", "ask", "finish"]
    text: str


@dataclass(frozen=True, slots=True)
class _Step:
    text: str
    calls: tuple[tuple[str, str, str], ...]


def look(records: Sequence[e.Recorded]) -> Remark | None:
    """What the turn's records so far call for; None when it goes on well, or was dealt with already."""
    steps = _steps(records)
    if not steps or not _ends_with_a_step(records):
        return None
    return _silence(steps, records) or _repetition(steps) or _alternation(steps)


def _ends_with_a_step(records: Sequence[e.Recorded]) -> bool:
    for record in reversed(records):
        if isinstance(record.event, e.ModelReplied | e.ToolReturned):
            return True
        if isinstance(record.event, e.NoteAdded | e.QuestionAnswered | e.PromptSteered | e.TurnResumed):
            return False
    return False


def _steps(records: Sequence[e.Recorded]) -> list[_Step]:
    """The turn as steps since a person last said something; each call with its arguments and result."""
    results = {
        record.event.call_id: f"{record.event.status} {record.event.output}"
        for record in records
        if isinstance(record.event, e.ToolReturned)
    }
    steps: list[_Step] = []
    for record in records:
        match record.event:
            case e.ModelReplied(text=text, tool_calls=calls):
                shown = tuple((call.tool, call.arguments, results.get(call.call_id, "")) for call in calls)
                steps.append(_Step(text.strip(), shown))
            case e.QuestionAnswered() | e.PromptSteered():
                steps.clear()
    return steps


def _silence(steps: Sequence[_Step], records: Sequence[e.Recorded]) -> Remark | None:
    last = steps[-1]
    if last.calls:
        return None
    if last.text:
        return _plain_text(last, records)
    empty = _trailing(steps, lambda step: not step.calls and not step.text)
    if empty >= REPEATS_TO_ASK:
        return Remark("ask", "The model answers with nothing, again and again. Shall I try once more?")
    return Remark("nudge", EMPTY_NUDGE)


def _plain_text(last: _Step, records: Sequence[e.Recorded]) -> Remark:
    """One nudge for a turn; the second time its text is taken as the answer."""
    nudged = any(
        isinstance(record.event, e.NoteAdded) and record.event.text == PLAIN_TEXT_NUDGE for record in records
    )
    return Remark("finish", last.text) if nudged else Remark("nudge", PLAIN_TEXT_NUDGE)


def _repetition(steps: Sequence[_Step]) -> Remark | None:
    last = steps[-1].calls
    times = _trailing(steps, lambda step: step.calls == last)
    tools = " and ".join(dict.fromkeys(call[0] for call in last))
    if times >= REPEATS_TO_ASK:
        return Remark(
            "ask",
            f"I have made the same {tools} call {times} times with the same result and am stuck. "
            "How should I go on?",
        )
    if times == REPEATS_TO_NUDGE:
        return Remark(
            "nudge",
            f"The same {tools} call has now given the same result {times} times. It will not change by "
            "repeating it: look at what it says, and try something else.",
        )
    return None


def _alternation(steps: Sequence[_Step]) -> Remark | None:
    times = 0
    for step, after_next in zip(reversed(steps), list(reversed(steps))[2:], strict=False):
        if step.calls != after_next.calls:
            break
        times += 1
    length = times + 2 if times else 0
    if len(steps) < ALTERNATIONS_TO_NUDGE or steps[-1].calls == steps[-2].calls:
        return None
    if length >= ALTERNATIONS_TO_ASK:
        return Remark(
            "ask", "I am going back and forth between the same two steps and am stuck. How should I go on?"
        )
    if length == ALTERNATIONS_TO_NUDGE:
        return Remark(
            "nudge",
            "You are going back and forth between the same two calls with the same results. "
            "Say to yourself what you expect to change, and take a different step.",
        )
    return None


def _trailing(steps: Sequence[_Step], fits: Callable[[_Step], bool]) -> int:
    count = 0
    for step in reversed(steps):
        if not fits(step):
            break
        count += 1
    return count
