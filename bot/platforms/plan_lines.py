"""The plan on a card, in no more lines than people read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from bot.long_text import one_line
from bot.messages import PlanLine

MOST_LINES = 20
STEP_CHARACTERS = 110
_SETTLED = ("done", "dropped")


@dataclass(frozen=True, slots=True)
class PlanForm:
    """How a platform writes a plan down. `text` escapes a step's words, `aside` marks words of ours between
    the steps; `room` is how much fits, as `length` counts it."""

    marks: Mapping[str, str]
    text: Callable[[str], str]
    aside: Callable[[str], str]
    room: int
    length: Callable[[str], int] = len


def plan_lines(plan: Sequence[PlanLine], form: PlanForm) -> Iterator[str]:
    """The plan's lines: where they are too many what is done is folded first, then what lies far ahead."""
    shown = list(plan)
    done = sum(1 for line in shown if line.status in _SETTLED)
    if len(shown) > MOST_LINES and done > 1:
        yield f"{form.marks['done']} {form.aside(f'{done} steps done')}"
        shown = [line for line in shown if line.status not in _SETTLED]
    left = form.room
    for index, line in enumerate(shown):
        text = f"{form.marks[line.status]} {form.text(one_line(line.text, STEP_CHARACTERS))}"
        if index >= MOST_LINES or form.length(text) > left:
            yield form.aside(f"and {len(shown) - index} more")
            return
        left -= form.length(text) + 1
        yield text
