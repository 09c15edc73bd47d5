"""Puts a streamed reply together, and knows whether it is whole."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from openai.types import CompletionUsage
from openai.types.chat import ChatCompletionChunk
from openai.types.chat.chat_completion_chunk import ChoiceDeltaToolCall

from sandbox.agent.model import ModelReply, ToolCallRequest, Usage

CHARS_PER_TOKEN = 4  # a rule of thumb for English and code; used only where the provider reports nothing


class IncompleteReply(Exception):
    """The stream ended before the reply did; nothing of it may be used."""


@dataclass(slots=True)
class _GrowingCall:
    call_id: str = ""
    tool: str = ""
    arguments: str = ""


@dataclass(slots=True)
class ReplyAssembly:
    """Collects the chunks of one stream."""

    text: str = ""
    _calls: list[_GrowingCall] = field(default_factory=list)
    _open: dict[int, _GrowingCall] = field(default_factory=dict)
    _finish_reason: str | None = None
    _usage: CompletionUsage | None = None

    def add(self, chunk: ChatCompletionChunk) -> bool:
        """Take in the next chunk; true if the text grew."""
        if chunk.usage is not None:
            self._usage = chunk.usage
        before = len(self.text)
        for choice in chunk.choices:
            if choice.index == 0:
                self.text += choice.delta.content or ""
                for fragment in choice.delta.tool_calls or ():
                    self._add_fragment(fragment)
                self._finish_reason = choice.finish_reason or self._finish_reason
        return len(self.text) > before

    @property
    def settled(self) -> bool:
        """Whether nothing that matters can still come: the answer ended and its cost is known."""
        return self._finish_reason is not None and self._usage is not None

    def finished(self, model_id: str, sent_chars: int) -> ModelReply:
        """The whole reply; `sent_chars` is the length of the request, for estimating unreported usage.

        Raises:
            IncompleteReply: the provider never said that the reply was finished.
        """
        if self._finish_reason is None:
            raise IncompleteReply("the stream ended in the middle of the reply")
        whole = [c for c in self._calls if self._finish_reason != "length" or _is_json(c.arguments)]
        calls = tuple(_with_distinct_ids(whole))
        return ModelReply(self.text, calls, self._counted(sent_chars), self._finish_reason, model_id)

    def _add_fragment(self, fragment: ChoiceDeltaToolCall) -> None:
        call = self._open.get(fragment.index)
        # Some gateways give every call of a reply the index 0; a new id then marks a new call.
        if call is None or (fragment.id and call.call_id and fragment.id != call.call_id):
            call = self._open[fragment.index] = _GrowingCall()
            self._calls.append(call)
        call.call_id = fragment.id or call.call_id
        if fragment.function is not None:
            call.tool += fragment.function.name or ""
            call.arguments += fragment.function.arguments or ""

    def _counted(self, sent_chars: int) -> Usage:
        if self._usage is None:
            written = len(self.text) + sum(len(call.arguments) for call in self._calls)
            return Usage(_tokens(sent_chars), 0, _tokens(written), estimated=True)
        details = self._usage.prompt_tokens_details
        cached = (details.cached_tokens if details else None) or 0
        return Usage(self._usage.prompt_tokens, cached, self._usage.completion_tokens)


def _with_distinct_ids(calls: Iterable[_GrowingCall]) -> Iterator[ToolCallRequest]:
    # A result names its call by id alone, and providers refuse a history in which an id is missing or
    # stands twice in one message.
    taken: set[str] = set()
    for number, call in enumerate(calls):
        call_id = call.call_id if call.call_id and call.call_id not in taken else f"{call.call_id}_{number}"
        taken.add(call_id)
        yield ToolCallRequest(call_id, call.tool, call.arguments)


def _tokens(chars: int) -> int:
    return -(-chars // CHARS_PER_TOKEN)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
