"""The agent surface some workspaces have: a session's status, and messages that are streamed."""

from __future__ import annotations

from tests.emulators.slack.calls import Call, Method
from tests.emulators.slack.payloads import message_payload
from tests.emulators.slack.refusals import Json, Refused
from tests.emulators.slack.workspace import Message

STATUSES = frozenset({"active", "in_progress", "working", "needs_input", "suspended", "completed", "failed"})
_STREAMING = "streaming"


async def set_status(call: Call) -> Json:
    """The lifecycle status of the agent session in a thread, kept with the thread's first message."""
    root = call.workspace.message(call.text("channel_id"), call.text("thread_ts"))
    root.metadata = {**(root.metadata or {}), "agent_status": call.text("status")}
    call.workspace.watch.changed()
    return {}


async def start_stream(call: Call) -> Json:
    """A message that will grow."""
    channel = call.workspace.channel(call.text("channel"))
    root = call.workspace.message(channel.id, call.text("thread_ts"))
    message = call.workspace.post(channel, call.workspace.bot, "", thread_ts=root.root_ts)
    message.metadata = {_STREAMING: True}
    _grow(call, message)
    return {"channel": channel.id, "ts": message.ts}


async def append_stream(call: Call) -> Json:
    """More of it."""
    message = _streaming(call)
    _grow(call, message)
    return {"channel": message.channel.id, "ts": message.ts}


async def stop_stream(call: Call) -> Json:
    """The message is complete; only now does the app hear of it."""
    message = _streaming(call)
    _grow(call, message)
    message.metadata = call.args.get("metadata")
    call.feed.message_posted(message)
    return {"channel": message.channel.id, "ts": message.ts, "message": message_payload(message)}


def _streaming(call: Call) -> Message:
    message = call.workspace.message(call.text("channel"), call.text("ts"))
    if not (message.metadata or {}).get(_STREAMING):
        raise Refused("message_not_in_streaming_state")
    return message


def _grow(call: Call, message: Message) -> None:
    text = call.args.get("markdown_text") or ""
    for chunk in call.args.get("chunks") or ():
        text += chunk.get("text") or f"\n[{chunk.get('status', chunk['type'])}] {chunk.get('title', '')}"
    if len(message.text) + len(text) > 12_000:
        raise Refused("msg_too_long", "a streamed message holds 12000 characters")
    message.text += text
    call.workspace.watch.changed()


METHODS: dict[str, Method] = {
    "agents.sessions.setStatus": set_status,
    "chat.startStream": start_stream,
    "chat.appendStream": append_stream,
    "chat.stopStream": stop_stream,
}
