"""Making a long conversation fit its model's window again: old outputs go first, then a summary follows."""

from __future__ import annotations

from collections.abc import Sequence

from sandbox.agent import transcript
from sandbox.agent.model import (
    AssistantMessage,
    ContextOverflow,
    ImagePart,
    Model,
    ModelMessage,
    SystemMessage,
    ToolMessage,
    UserMessage,
)
from sandbox.agent.model_catalogue import ModelSpec
from session import events as e

FULL_SHARE = 0.8
"""Compaction begins when this share of the room for input is used."""
KEPT_SHARE = 0.1
"""So much of the room is kept as it is: the last steps."""
ENOUGH_SHARE = 0.5
"""Clearing outputs alone is enough if it brings the conversation below this share."""
SHRUNK_SHARE = 0.9
CHARACTERS_PER_TOKEN = 4
IMAGE_TOKENS = 1500

SUMMARY_REQUEST = (
    "Bellhop notes: this conversation is about to be shortened. Write the hand-over for whoever continues, "
    "under these headings: Goal; Instructions and decisions of people; Findings; Done (with file paths); "
    "Left to do; Files that matter. Be exact about names, paths, commands and numbers; leave out what no "
    "longer matters. Answer with the hand-over alone."
)


class CompactionFailed(Exception):
    """The conversation could not be made to fit; the message says so in a sentence fit for people."""


def is_due(records: Sequence[e.Recorded], spec: ModelSpec) -> bool:
    """Whether the provider's own count says that the window is nearly full, with nothing done about it
    yet."""
    for record in reversed(records):
        match record.event:
            case e.ContextCompacted():
                return False
            case e.ModelReplied() as reply:
                return reply.input_tokens + reply.output_tokens >= FULL_SHARE * _room(spec)
    return False


async def compact(
    records: Sequence[e.Recorded], turn_id: str, system: str, spec: ModelSpec, model: Model
) -> e.ContextCompacted:
    """The event that shortens the conversation; it takes a call of the model when clearing is not enough.

    Raises: CompactionFailed when it did not shrink; ModelUnavailable, ModelRefused.
    """
    before = estimate(transcript.messages(records, system, vision=spec.vision))
    tail = _tail_start(records, spec)
    cleared = e.ContextCompacted(turn_id=turn_id, cleared_before=tail)
    after = estimate(_with(records, cleared, system, spec))
    if after <= ENOUGH_SHARE * _room(spec) and after < SHRUNK_SHARE * before:
        return cleared
    summary = await _summarise(records, cleared, system, spec, model)
    done = cleared.model_copy(update={"summarised_before": tail, "summary": summary})
    if not summary or estimate(_with(records, done, system, spec)) >= SHRUNK_SHARE * before:
        raise CompactionFailed(
            "The conversation no longer fits the model's window, and shortening it did not help."
        )
    return done


def estimate(messages: Sequence[ModelMessage]) -> int:
    """Roughly how many tokens the messages are."""
    return sum(_tokens(message) for message in messages)


def _room(spec: ModelSpec) -> int:
    return spec.window_tokens - spec.output_reserve_tokens


def _with(
    records: Sequence[e.Recorded], event: e.ContextCompacted, system: str, spec: ModelSpec
) -> list[ModelMessage]:
    last = records[-1]
    added = e.Recorded(last.session_id, last.seq + 1, last.at, event)
    return transcript.messages([*records, added], system, vision=spec.vision)


def _tail_start(records: Sequence[e.Recorded], spec: ModelSpec) -> int:
    """The seq of the model's answer from which on the conversation is kept as it is: at least the last
    one."""
    room = KEPT_SHARE * _room(spec) * CHARACTERS_PER_TOKEN
    start = None
    for record in reversed(records):
        match record.event:
            case e.ToolReturned(output=output):
                room -= len(output)
            case e.ModelReplied(text=text, tool_calls=calls):
                room -= len(text) + sum(len(call.arguments) for call in calls)
                if start is not None and room < 0:
                    break
                start = record.seq
    return start if start is not None else records[-1].seq + 1


async def _summarise(
    records: Sequence[e.Recorded],
    cleared: e.ContextCompacted,
    system: str,
    spec: ModelSpec,
    model: Model,
) -> str:
    conversation = _with(records, cleared, system, spec)
    request = UserMessage.of(SUMMARY_REQUEST)
    try:
        return (await model.reply([*conversation, request], ())).text.strip()
    except ContextOverflow:
        # Too long even for this: its head (the task) and tail (where it stands), a quarter of a window.
        limit = _room(spec) * CHARACTERS_PER_TOKEN // 4
        text = "\n\n".join(_plain(message) for message in conversation[1:])
        short = f"{text[: limit // 4]}\n[…]\n{text[-(limit - limit // 4) :]}"
    try:
        return (await model.reply([SystemMessage(system), UserMessage.of(short), request], ())).text.strip()
    except ContextOverflow as error:
        raise CompactionFailed("The conversation is too long even to be summarised.") from error


def _plain(message: ModelMessage) -> str:
    match message:
        case SystemMessage(text=text) | AssistantMessage(text=text, tool_calls=()):
            return text
        case AssistantMessage(text=text, tool_calls=calls):
            return "\n".join([text, *(f"{call.tool} {call.arguments}" for call in calls)])
        case UserMessage(parts=parts) | ToolMessage(parts=parts):
            return "\n".join("(image)" if isinstance(part, ImagePart) else part.text for part in parts)


def _tokens(message: ModelMessage) -> int:
    images = (
        sum(isinstance(part, ImagePart) for part in message.parts)
        if isinstance(message, UserMessage | ToolMessage)
        else 0
    )
    return len(_plain(message)) // CHARACTERS_PER_TOKEN + images * IMAGE_TOKENS + 4
