"""What a scripted model answers, and how the answer looks on the wire."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from deploy.demo.chat_requests import ChatRequest

CHARS_PER_TOKEN = 4


@dataclass(frozen=True, slots=True)
class ScriptedCall:
    """A tool call in a reply; `arguments` is sent as it stands, so it may be malformed on purpose.

    `call_id` None means that the server numbers the call itself.
    """

    tool: str
    arguments: str
    call_id: str | None = None


@dataclass(frozen=True, slots=True)
class ScriptedUsage:
    """Token counts a reply reports."""

    input_tokens: int
    output_tokens: int
    cached_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer of a script.

    `finish_reason` None means `tool_calls` where there are calls, else `stop`; `usage` None means counted
    from the length of the texts; `delay_seconds` passes before each chunk of a streamed reply, which
    carries `chunk_chars` characters.
    """

    text: str = ""
    tool_calls: tuple[ScriptedCall, ...] = ()
    finish_reason: str | None = None
    usage: ScriptedUsage | None = None
    delay_seconds: float = 0.0
    chunk_chars: int = 24


class Script(Protocol):
    """Plays one model: decides what it answers from the request alone, or from what it remembers."""

    def reply(self, request: ChatRequest) -> Reply:
        """The answer to `request`."""
        ...


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply ready to be sent: with its number, from which ids are made, and the second it was created."""

    request: ChatRequest
    reply: Reply
    number: int
    created: int

    def completion(self) -> dict[str, Any]:
        """The body of a reply that is not streamed."""
        message: dict[str, Any] = {"role": "assistant", "content": self.reply.text or None}
        if self.reply.tool_calls:
            message["tool_calls"] = [
                {
                    "id": call_id,
                    "type": "function",
                    "function": {"name": call.tool, "arguments": call.arguments},
                }
                for call_id, call in self._numbered_calls()
            ]
        choice = {"index": 0, "message": message, "finish_reason": self._finish_reason(), "logprobs": None}
        return {**self._envelope("chat.completion"), "choices": [choice], "usage": self._usage()}

    def events(self) -> Iterator[bytes]:
        """The server-sent events of a streamed reply, the closing `[DONE]` included."""
        yield self._delta({"role": "assistant", "content": "" if self.reply.text else None})
        for piece in _pieces(self.reply.text, self.reply.chunk_chars):
            yield self._delta({"content": piece})
        for index, (call_id, call) in enumerate(self._numbered_calls()):
            yield self._delta({"tool_calls": [{"index": index, **_wire_call(call_id, call.tool, "")}]})
            for piece in _pieces(call.arguments, self.reply.chunk_chars):
                yield self._delta({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
        yield self._delta({}, self._finish_reason())
        if self.request.include_usage:
            yield _event({**self._envelope("chat.completion.chunk"), "choices": [], "usage": self._usage()})
        yield b"data: [DONE]\n\n"

    def _delta(self, delta: dict[str, Any], finish_reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason, "logprobs": None}
        chunk = {**self._envelope("chat.completion.chunk"), "choices": [choice]}
        return _event({**chunk, "usage": None} if self.request.include_usage else chunk)

    def _envelope(self, kind: str) -> dict[str, Any]:
        return {
            "id": f"chatcmpl-{self.number:08d}",
            "object": kind,
            "created": self.created,
            "model": self.request.model,
        }

    def _numbered_calls(self) -> Iterator[tuple[str, ScriptedCall]]:
        for index, call in enumerate(self.reply.tool_calls):
            yield call.call_id or f"call_{self.number:08d}_{index}", call

    def _finish_reason(self) -> str:
        return self.reply.finish_reason or ("tool_calls" if self.reply.tool_calls else "stop")

    def _usage(self) -> dict[str, Any]:
        usage = self.reply.usage or self._counted()
        return {
            "prompt_tokens": usage.input_tokens,
            "completion_tokens": usage.output_tokens,
            "total_tokens": usage.input_tokens + usage.output_tokens,
            "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
        }

    def _counted(self) -> ScriptedUsage:
        asked = sum(len(message.text) for message in self.request.messages)
        answered = len(self.reply.text) + sum(len(call.arguments) for call in self.reply.tool_calls)
        return ScriptedUsage(1 + asked // CHARS_PER_TOKEN, 1 + answered // CHARS_PER_TOKEN)


def _wire_call(call_id: str, tool: str, arguments: str) -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": tool, "arguments": arguments}}


def _pieces(text: str, size: int) -> Iterator[str]:
    return (text[start : start + size] for start in range(0, len(text), size))


def _event(chunk: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(chunk, ensure_ascii=False).encode() + b"\n\n"
