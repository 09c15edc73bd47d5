"""Reading a turn's records, step by step: what is unanswered, what a reply becomes when it is recorded."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from uuid import uuid4

from sandbox.agent.calls import Malformed, understand
from sandbox.agent.model import ModelReply, ToolCallRequest
from sandbox.agent.model_catalogue import ModelCatalogue
from sandbox.agent.tool import Arguments, Tool
from sandbox.agent.turn_log import TurnLog
from session import events as e

CALL_ID_CHARACTERS = 40
"""Longer ids are refused by some providers when they come back in the conversation."""


def unanswered(records: Sequence[e.Recorded]) -> tuple[e.ToolRequest, ...]:
    """The calls of the model's last answer that have not returned, in their order."""
    returned = {r.event.call_id for r in records if isinstance(r.event, e.ToolReturned)}
    for record in reversed(records):
        if isinstance(record.event, e.ModelReplied):
            return tuple(call for call in record.event.tool_calls if call.call_id not in returned)
    return ()


def waits_for_answer(records: Sequence[e.Recorded]) -> bool:
    """Whether the harness has asked people something and nobody has answered."""
    for record in reversed(records):
        if isinstance(record.event, e.QuestionAnswered):
            return False
        if isinstance(record.event, e.QuestionAsked):
            return not record.event.call_id
    return False


def malformed_in_a_row(records: Sequence[e.Recorded], tools: Mapping[str, Tool[Arguments]]) -> int:
    """How many of the last answers, without a gap, held a call that cannot be read."""
    count = 0
    for record in reversed(records):
        if isinstance(record.event, e.ModelReplied):
            calls = [understand(call, tools) for call in record.event.tool_calls]
            if not any(isinstance(call.arguments, Malformed) for call in calls):
                break
            count += 1
    return count


def replied(reply: ModelReply, turn: TurnLog, models: ModelCatalogue) -> e.ModelReplied:
    """The model's answer as it is recorded. Its call ids become unique in the session where they are not:
    the box remembers calls by their id for ever, and a careless gateway numbers them anew each time."""
    used = {
        call.call_id
        for record in turn.records
        if isinstance(record.event, e.ModelReplied)
        for call in record.event.tool_calls
    }
    requests: list[e.ToolRequest] = []
    for call in reply.tool_calls:
        requests.append(_unique(call, used))
        used.add(requests[-1].call_id)
    return e.ModelReplied(
        turn_id=turn.turn_id,
        text=reply.text,
        tool_calls=tuple(requests),
        model=reply.model,
        input_tokens=reply.usage.input_tokens,
        cached_tokens=reply.usage.cached_tokens,
        output_tokens=reply.usage.output_tokens,
        cost_usd=models.spec(reply.model).price(reply.usage),
    )


def finishing_reply(turn_id: str, text: str, model: str) -> e.ModelReplied:
    """An answer that calls finish for an agent that just stopped, so that its checks hold here too."""
    call = e.ToolRequest(call_id=_new_id(), tool="finish", arguments=json.dumps({"summary": text}))
    return e.ModelReplied(turn_id=turn_id, text="", tool_calls=(call,), model=model, cost_usd=Decimal(0))


def _unique(call: ToolCallRequest, used: set[str]) -> e.ToolRequest:
    fit = call.call_id and len(call.call_id) <= CALL_ID_CHARACTERS and call.call_id not in used
    return e.ToolRequest(call_id=call.call_id if fit else _new_id(), tool=call.tool, arguments=call.arguments)


def _new_id() -> str:
    return f"call_{uuid4().hex[:24]}"
