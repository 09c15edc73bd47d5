"""Reading what a model call cost out of its answer while the answer passes by."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import BaseModel, ValidationError

from sandbox.agent.json_value import JsonObject, JsonValue
from sandbox.agent.model import Usage

CHARACTERS_PER_TOKEN = 4  # a rule of thumb for English and code
IMAGE_TOKENS = 1500
LONGEST_LINE = 4 * 1024 * 1024


class _Details(BaseModel):
    cached_tokens: int | None = None


class _Counted(BaseModel):
    """Source: OpenAI API reference, the `usage` of a chat completion."""

    prompt_tokens: int
    completion_tokens: int
    prompt_tokens_details: _Details | None = None


def estimated_input(request: JsonObject) -> int:
    """About how many tokens the request has; a picture counts as one, however long its data."""
    return -(-_characters(request) // CHARACTERS_PER_TOKEN)


def _characters(value: JsonValue) -> int:
    match value:
        case str():
            picture = value.startswith("data:image/")
            return IMAGE_TOKENS * CHARACTERS_PER_TOKEN if picture else len(value)
        case Mapping():
            return sum(len(key) + _characters(part) for key, part in value.items())
        case Sequence():
            return sum(_characters(part) for part in value)
    return 1


@dataclass(slots=True)
class UsageMeter:
    """Watches one answer, streamed or whole.

    `input_tokens` is the estimate for when it reports nothing. `done` says that the answer has ended; before
    that, what is reported may be only what was used so far.
    """

    input_tokens: int
    written: int = 0
    done: bool = False
    _reported: Usage | None = None
    _rest: bytes = field(default=b"", repr=False)

    @property
    def usage(self) -> Usage:
        """As reported, else estimated from the lengths: a budget must never see a free call."""
        if self._reported is not None:
            return self._reported
        return Usage(self.input_tokens, 0, -(-self.written // CHARACTERS_PER_TOKEN), estimated=True)

    def stream(self, piece: bytes) -> None:
        """Look at the next bytes of a stream of events."""
        *lines, self._rest = (self._rest + piece).split(b"\n")
        if len(self._rest) > LONGEST_LINE:
            self.written += len(self._rest)
            self._rest = b""
        for line in lines:
            self._line(line.strip())

    def whole(self, body: bytes) -> None:
        """Look at an answer that came in one piece."""
        self._take(body)
        self.done = True

    def _line(self, line: bytes) -> None:
        if not line.startswith(b"data:"):
            return
        data = line.removeprefix(b"data:").strip()
        if data == b"[DONE]":
            self.done = True
        else:
            self._take(data)

    def _take(self, data: bytes) -> None:
        try:
            value: JsonValue = json.loads(data)
        except ValueError:
            self.written += len(data)
            return
        if not isinstance(value, dict):
            return
        if isinstance(value.get("usage"), dict):
            self._report(value["usage"])
        if isinstance(choices := value.get("choices"), list):
            self.written += sum(_spoken(choice) for choice in choices)

    def _report(self, usage: JsonValue) -> None:
        try:
            counted = _Counted.model_validate(usage)
        except ValidationError:
            return
        details = counted.prompt_tokens_details
        cached = (details.cached_tokens if details else None) or 0
        reported = Usage(counted.prompt_tokens, cached, counted.completion_tokens)
        if min(reported.input_tokens, reported.cached_tokens, reported.output_tokens) >= 0:
            self._reported = reported


def _spoken(choice: JsonValue) -> int:
    """The characters of what the model says in one choice, its tool calls among it."""
    if not isinstance(choice, dict):
        return 0
    said = choice.get("delta") or choice.get("message")
    if not isinstance(said, dict):
        return 0
    return sum(_characters(part) for name, part in said.items() if name != "role" and part is not None)
