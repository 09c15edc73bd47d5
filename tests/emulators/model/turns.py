"""The words in which a test writes what the model does: replies, and every way a call can go wrong."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field

from deploy.demo.chat_requests import ChatRequest
from deploy.demo.replies import Reply, ScriptedCall


def say(text: str) -> Reply:
    """A reply of text alone."""
    return Reply(text=text)


def say_json(**fields: object) -> Reply:
    """A reply whose text is a JSON object, for structured answers."""
    return Reply(text=json.dumps(fields))


def tool(name: str, /, **arguments: object) -> Reply:
    """A reply that calls one tool."""
    return raw_tool(name, json.dumps(arguments))


def raw_tool(name: str, arguments: str, *, call_id: str | None = None) -> Reply:
    """A reply that calls one tool with `arguments` exactly as given, malformed or not."""
    return Reply(tool_calls=(ScriptedCall(name, arguments, call_id),))


def together(*replies: Reply, text: str = "") -> Reply:
    """One reply that makes the tool calls of all `replies` at once."""
    calls = tuple(call for reply in replies for call in reply.tool_calls)
    return Reply(text=text or "".join(reply.text for reply in replies), tool_calls=calls)


def same_ids(*replies: Reply, call_id: str = "call_twin") -> Reply:
    """One reply with several tool calls that all carry the same id, as careless gateways send."""
    calls = (call for reply in replies for call in reply.tool_calls)
    return Reply(tool_calls=tuple(ScriptedCall(call.tool, call.arguments, call_id) for call in calls))


def nothing() -> Reply:
    """An empty reply: no text, no tool call."""
    return Reply()


@dataclass(frozen=True, slots=True)
class HttpFault:
    """An error answer; `retry_after` goes into the header of that name as it stands."""

    status: int
    message: str = "The server had an error while processing your request."
    code: str | None = None
    retry_after: str | None = None


def rate_limited(retry_after: str | None = None) -> HttpFault:
    """429."""
    return HttpFault(429, "Rate limit reached for requests.", "rate_limit_exceeded", retry_after)


def overloaded(retry_after: str | None = None) -> HttpFault:
    """529, which gateways answer when the model behind them has no room."""
    return HttpFault(529, "Overloaded.", "overloaded_error", retry_after)


def context_overflow(window_tokens: int = 128_000) -> HttpFault:
    """400, because the conversation is larger than the window."""
    return HttpFault(
        400,
        f"This model's maximum context length is {window_tokens} tokens. Please reduce the length of the "
        "messages.",
        "context_length_exceeded",
    )


@dataclass(frozen=True, slots=True)
class Reset:
    """The connection is reset before a byte of the answer."""


@dataclass(frozen=True, slots=True)
class Cut:
    """`reply` is streamed, and stops after `after_bytes` bytes of its body.

    `abrupt` breaks the connection; otherwise the response ends in good order, only too early.
    """

    reply: Reply
    after_bytes: int
    abrupt: bool = True


@dataclass(frozen=True, slots=True)
class StreamError:
    """The stream opens well and then carries an error event instead of an answer."""

    message: str = "The server had an error processing your request."
    code: str | None = None


@dataclass(eq=False, slots=True)
class Held:
    """`reply` is streamed and stops after `after_events` events until the test lets it go on.

    Zero events means that not even the headers are sent. `reached` is set once the stream stands still,
    `abandoned` if the caller hung up meanwhile; `release()` lets it go on.
    """

    reply: Reply
    after_events: int = 1
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    released: asyncio.Event = field(default_factory=asyncio.Event)
    abandoned: asyncio.Event = field(default_factory=asyncio.Event)

    def release(self) -> None:
        """Let the stream go on."""
        self.released.set()


Turn = Reply | HttpFault | Reset | Cut | StreamError | Held
"""What the model does on one call."""

Player = Callable[[ChatRequest], Turn]
"""Decides from the request what the model does."""
