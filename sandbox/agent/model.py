"""What a turn says to a model and hears back, whatever provider stands behind it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from sandbox.agent.json_value import JsonObject


@dataclass(frozen=True, slots=True)
class TextPart:
    """A stretch of text inside a message."""

    text: str


@dataclass(frozen=True, slots=True)
class ImagePart:
    """A picture inside a message: raw bytes and their media type (`image/png`)."""

    media_type: str
    data: bytes


Part = TextPart | ImagePart


@dataclass(frozen=True, slots=True)
class ToolCallRequest:
    """A tool call the model asks for; `arguments` is the raw JSON it wrote, possibly malformed."""

    call_id: str
    tool: str
    arguments: str


@dataclass(frozen=True, slots=True)
class SystemMessage:
    """Standing instructions; kept free of anything that changes, so that the prompt cache holds."""

    text: str


@dataclass(frozen=True, slots=True)
class UserMessage:
    """What people (or the harness, speaking for them) say."""

    parts: tuple[Part, ...]

    @classmethod
    def of(cls, text: str) -> UserMessage:
        """A message of text alone."""
        return cls((TextPart(text),))


@dataclass(frozen=True, slots=True)
class AssistantMessage:
    """What the model said earlier, with the tool calls it asked for."""

    text: str
    tool_calls: tuple[ToolCallRequest, ...] = ()


@dataclass(frozen=True, slots=True)
class ToolMessage:
    """The result of one tool call; every call must be answered before anything else is said."""

    call_id: str
    parts: tuple[Part, ...]

    @classmethod
    def of(cls, call_id: str, text: str) -> ToolMessage:
        """A result of text alone."""
        return cls(call_id, (TextPart(text),))


ModelMessage = SystemMessage | UserMessage | AssistantMessage | ToolMessage


@dataclass(frozen=True, slots=True)
class ToolSchema:
    """A tool as the model sees it; `parameters` is a JSON Schema of type object."""

    name: str
    description: str
    parameters: JsonObject


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call.

    `input_tokens` includes `cached_tokens`. `estimated` is true where the provider reported nothing and
    the numbers were derived from the length of the text: a budget must never see a free call.
    """

    input_tokens: int
    cached_tokens: int
    output_tokens: int
    estimated: bool = False


@dataclass(frozen=True, slots=True)
class ModelReply:
    """One complete answer.

    `finish_reason` is the provider's word (`stop`, `tool_calls`, `length`, `content_filter`); `model` is
    the id of the model that answered, which may be a fallback.
    """

    text: str
    tool_calls: tuple[ToolCallRequest, ...]
    usage: Usage
    finish_reason: str
    model: str


OnText = Callable[[str], Awaitable[None]]
"""Receives the whole text so far, not the newest fragment: a retried call starts short again, and a reader
who shows the latest value is right at any moment."""


class Model(Protocol):
    """Something that answers a conversation."""

    async def reply(
        self,
        messages: Sequence[ModelMessage],
        tools: Sequence[ToolSchema],
        *,
        on_text: OnText | None = None,
    ) -> ModelReply:
        """The model's complete answer to `messages`, free to use any of `tools`.

        `on_text` is awaited with the text so far while the answer is being written.

        Raises:
            ContextOverflow: the conversation is larger than the model's window; compact and call again.
            ModelUnavailable: no answer could be had after every retry; the turn should pause.
            ModelRefused: the provider will refuse this call however often it is made.
            BudgetSpent: the session may use no more before a person says so.
            ModelHalted: everything is switched off.
        """
        ...


class ModelError(Exception):
    """A model call that brought no answer; the message is a sentence fit to be shown to people."""


class ContextOverflow(ModelError):
    """The conversation does not fit the model's window."""


class ModelUnavailable(ModelError):
    """The provider could not be reached, or kept failing, for as long as we were willing to try."""


class BudgetSpent(ModelError):
    """The session has used up one of its budgets; `budget` is its name."""

    def __init__(self, message: str, budget: str) -> None:
        super().__init__(message)
        self.budget = budget


class ModelHalted(ModelError):
    """Everything is switched off: no new effect may begin."""


class ModelRefused(ModelError):
    """The provider refuses: wrong key, unknown model, used-up quota or an invalid request."""
