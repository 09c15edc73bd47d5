"""Conversations as the Chat Completions API wants them written."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from typing import cast

from openai.types.chat import (
    ChatCompletionAssistantMessageParam,
    ChatCompletionContentPartParam,
    ChatCompletionFunctionToolParam,
    ChatCompletionMessageParam,
)

from sandbox.agent.model import (
    AssistantMessage,
    ImagePart,
    ModelMessage,
    Part,
    SystemMessage,
    TextPart,
    ToolMessage,
    ToolSchema,
    UserMessage,
)

UNSEEN_IMAGE = "[a picture was here; this model cannot see pictures]"


def wire_messages(messages: Sequence[ModelMessage], *, vision: bool) -> list[ChatCompletionMessageParam]:
    """`messages` in wire form.

    The API takes pictures from users only, so pictures in tool results follow in a user message after the
    last result of the batch. Without `vision` each picture becomes a sentence that says so.
    """
    wire: list[ChatCompletionMessageParam] = []
    shown: list[ImagePart] = []
    for message in messages:
        if shown and not isinstance(message, ToolMessage):
            wire.append(_pictures_of_tools(shown))
            shown = []
        if isinstance(message, ToolMessage):
            wire.append(
                {"role": "tool", "tool_call_id": message.call_id, "content": _text(message.parts, vision)}
            )
            shown.extend(_images(message.parts) if vision else ())
        else:
            wire.append(_wire_message(message, vision))
    if shown:
        wire.append(_pictures_of_tools(shown))
    return wire


def wire_tools(tools: Sequence[ToolSchema]) -> list[ChatCompletionFunctionToolParam]:
    """`tools` in wire form, in the order given, which the prompt cache depends on."""
    return [
        {
            "type": "function",
            "function": {
                "name": tool.name,
                "description": tool.description,
                "parameters": cast("dict[str, object]", tool.parameters),
            },
        }
        for tool in tools
    ]


def _wire_message(
    message: SystemMessage | UserMessage | AssistantMessage, vision: bool
) -> ChatCompletionMessageParam:
    if isinstance(message, SystemMessage):
        return {"role": "system", "content": message.text}
    if isinstance(message, AssistantMessage):
        return _wire_assistant(message)
    if vision and any(isinstance(part, ImagePart) for part in message.parts):
        return {"role": "user", "content": [_wire_part(part) for part in message.parts]}
    return {"role": "user", "content": _text(message.parts, vision)}


def _wire_assistant(message: AssistantMessage) -> ChatCompletionAssistantMessageParam:
    if not message.tool_calls:
        return {"role": "assistant", "content": message.text}
    return {
        "role": "assistant",
        "content": message.text or None,
        "tool_calls": [
            {
                "type": "function",
                "id": call.call_id,
                "function": {"name": call.tool, "arguments": call.arguments},
            }
            for call in message.tool_calls
        ],
    }


def _pictures_of_tools(images: Iterable[ImagePart]) -> ChatCompletionMessageParam:
    intro: ChatCompletionContentPartParam = {
        "type": "text",
        "text": "The pictures these tools returned:",
    }
    return {"role": "user", "content": [intro, *(_wire_part(image) for image in images)]}


def _wire_part(part: Part) -> ChatCompletionContentPartParam:
    if isinstance(part, TextPart):
        return {"type": "text", "text": part.text}
    encoded = base64.b64encode(part.data).decode("ascii")
    return {"type": "image_url", "image_url": {"url": f"data:{part.media_type};base64,{encoded}"}}


def _images(parts: Iterable[Part]) -> list[ImagePart]:
    return [part for part in parts if isinstance(part, ImagePart)]


def _text(parts: Iterable[Part], vision: bool) -> str:
    shown_below = "[picture, shown below]" if vision else UNSEEN_IMAGE
    return "\n".join(part.text if isinstance(part, TextPart) else shown_below for part in parts)
