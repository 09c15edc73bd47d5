"""Records written by hand, for pieces that read nothing else."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from datetime import UTC, datetime

from session import events as e
from session.people import Person, Prompt

ADA = Person(id="p-ada", name="Ada", email="ada@example.com")
GRACE = Person(id="p-grace", name="Grace", email="grace@example.com")
TURN = "turn-1"
_numbers = itertools.count(1)


def recorded(*events: e.Event) -> list[e.Recorded]:
    """The events in their places, counted from 1."""
    at = datetime(2026, 1, 1, tzinfo=UTC)
    return [e.Recorded("s-1", seq, at, event) for seq, event in enumerate(events, 1)]


def queued(text: str, *, prompt_id: str = "p1", author: Person = ADA) -> e.PromptQueued:
    """A prompt in line."""
    return e.PromptQueued(prompt=Prompt(id=prompt_id, text=text, author=author))


def started(prompt_id: str = "p1") -> e.TurnStarted:
    """A turn that begins."""
    return e.TurnStarted(turn_id=TURN, prompt_id=prompt_id, model="m", epoch=1)


def said(text: str = "", *calls: e.ToolRequest, input_tokens: int = 10) -> e.ModelReplied:
    """An answer of the model."""
    return e.ModelReplied(
        turn_id=TURN, text=text, tool_calls=calls, model="m", input_tokens=input_tokens, output_tokens=1
    )


def call(tool: str, **arguments: object) -> e.ToolRequest:
    """A call with an id of its own."""
    return e.ToolRequest(call_id=f"call-{next(_numbers)}", tool=tool, arguments=json.dumps(arguments))


def returned(request: e.ToolRequest, output: str, status: e.ToolStatus = "ok") -> e.ToolReturned:
    """The call's result."""
    return e.ToolReturned(
        turn_id=TURN, call_id=request.call_id, tool=request.tool, status=status, output=output
    )


def steps(*pairs: tuple[str, str]) -> Sequence[e.Event]:
    """Steps of one bash call each: command and output."""
    events: list[e.Event] = []
    for command, output in pairs:
        request = call("bash", command=command)
        events += [said("", request), returned(request, output)]
    return events
