"""The agent surface some workspaces have: a thread's status, and messages that are streamed.

Source: https://docs.slack.dev/ai/agent-sessions and https://docs.slack.dev/reference/methods/chat.startStream
"""

from __future__ import annotations

from typing import Any

from tests.emulators.slack.block_types import block_kit
from tests.emulators.slack.calls import Call, Method
from tests.emulators.slack.limits import check_blocks
from tests.emulators.slack.payloads import message_payload
from tests.emulators.slack.refusals import Json, Refused
from tests.emulators.slack.workspace import AgentSession, Message

STATUSES = frozenset({"active", "processing", "suspended", "closed"})
TASK_STATUSES = frozenset({"pending", "in_progress", "complete", "error"})
TITLE_CHARS = 200
TASK_CHARS = 256


async def set_status(call: Call) -> Json:
    """The status of the agent session in a thread, which begins with the first one; its title stays."""
    root = call.workspace.message(call.text("channel_id"), call.text("thread_ts"))
    if root.thread_ts is not None:
        raise Refused("invalid_arguments", "thread_ts is a reply, not the start of a thread")
    title = str(call.args.get("title") or "")
    if len(title) > TITLE_CHARS:
        raise Refused("invalid_arguments", f"title must be no more than {TITLE_CHARS} characters")
    _change_status(call, root, title)
    session = call.workspace.agent_sessions[root.channel.id, root.ts]
    return {"status": session.status, "title": session.title}


async def start_stream(call: Call) -> Json:
    """A message that will grow."""
    channel = call.workspace.channel(call.text("channel"))
    if call.workspace.bot.id not in channel.members:
        raise Refused("not_in_channel")
    if channel.kind != "im":
        if call.args.get("recipient_user_id") not in call.workspace.users:
            raise Refused("missing_recipient_user_id")
        if not call.args.get("recipient_team_id"):
            raise Refused("missing_recipient_team_id")
    if call.args.get("task_display_mode", "timeline") not in ("timeline", "plan"):
        raise Refused("invalid_arguments", "task_display_mode is timeline or plan")
    if "metadata" in call.args:
        raise Refused("invalid_arguments", "a stream takes metadata when it is stopped")
    root = call.workspace.message(channel.id, call.text("thread_ts"))
    blocks = _grown(call, [])
    message = call.workspace.post(
        channel, call.workspace.bot, "", blocks=blocks, thread_ts=root.root_ts, streaming=True
    )
    return {"channel": channel.id, "ts": message.ts}


async def append_stream(call: Call) -> Json:
    """More of it."""
    message = _streaming(call)
    _show(call, message, _grown(call, message.blocks))
    return {"channel": message.channel.id, "ts": message.ts}


async def stop_stream(call: Call) -> Json:
    """The message is complete; only now does the app hear of it. The session's status moves on."""
    message = _streaming(call)
    blocks = _grown(call, message.blocks)
    more = call.args.get("blocks")
    _show(call, message, [*blocks, *check_blocks(more)] if more else blocks)
    message.metadata = call.args.get("metadata")
    message.streaming = False
    root = call.workspace.message(message.channel.id, message.root_ts)
    if (root.channel.id, root.ts) in call.workspace.agent_sessions:
        call.args.setdefault("status", call.args.get("session_status", "active"))
        _change_status(call, root, "")
    call.feed.message_posted(message)
    return {"channel": message.channel.id, "ts": message.ts, "message": message_payload(message)}


def _change_status(call: Call, root: Message, title: str) -> None:
    if call.text("status") not in STATUSES:
        raise Refused("invalid_arguments", f"status is one of {', '.join(sorted(STATUSES))}")
    call.workspace.agent_sessions.setdefault(
        (root.channel.id, root.ts), AgentSession(title=title)
    ).status = call.text("status")
    call.workspace.watch.changed()


def _streaming(call: Call) -> Message:
    message = call.workspace.message(call.text("channel"), call.text("ts"))
    if not message.streaming:
        raise Refused("message_not_in_streaming_state")
    return message


def _show(call: Call, message: Message, blocks: list[Json]) -> None:
    message.revisions.append(message.shown)
    message.blocks = blocks
    call.workspace.watch.changed()


def _grown(call: Call, blocks: list[Json]) -> list[Json]:
    text, chunks = call.args.get("markdown_text"), call.args.get("chunks") or []
    if text and chunks:
        raise Refused("markdown_text_conflict")
    return grown_by([{"type": "markdown_text", "text": text}] if text else chunks, blocks)


def grown_by(chunks: list[Json], blocks: list[Json]) -> list[Json]:
    """The blocks of a stream after `chunks`; those given stay as they are.

    Raises: Refused, when Slack would not take the chunks.
    """
    grown = list(blocks)
    declared = block_kit()
    for chunk in chunks:
        if declared is not None and (fault := declared.fault("AnyChunk", chunk)):
            raise Refused("invalid_chunks", fault)
        kind = chunk.get("type")
        if kind == "markdown_text":
            before = grown.pop()["text"] if grown and grown[-1]["type"] == "markdown" else ""
            grown.append({"type": "markdown", "text": before + chunk["text"]})
        elif kind == "blocks":
            grown.extend(chunk["blocks"])
        elif kind == "plan_update":
            grown = _with_plan(grown, title=_short(chunk, "title"))
        elif kind == "task_update":
            grown = _with_plan(grown, task=_task(chunk))
        else:
            raise Refused("invalid_chunks", f"unknown chunk {kind!r}")
    return check_blocks(grown)


def _with_plan(blocks: list[Json], *, title: str | None = None, task: Json | None = None) -> list[Json]:
    plan: Json = next((b for b in blocks if b["type"] == "plan"), {"type": "plan", "title": "", "tasks": []})
    tasks = list(plan["tasks"])
    if task is not None:
        known = [entry["task_id"] for entry in tasks]
        if task["task_id"] in known:
            tasks[known.index(task["task_id"])] |= task
        else:
            tasks.append(task)
    new = {**plan, "title": plan["title"] if title is None else title, "tasks": tasks}
    return [new if b is plan else b for b in blocks] if plan in blocks else [*blocks, new]


def _task(chunk: Json) -> Json:
    if chunk.get("status") not in TASK_STATUSES:
        raise Refused("invalid_chunks", f"unknown status {chunk.get('status')!r} of a task")
    details = {"details": _rich(_short(chunk, "details"))} if "details" in chunk else {}
    return {
        "type": "task_card",
        "task_id": _short(chunk, "id"),
        "title": _short(chunk, "title"),
        "status": chunk["status"],
        **details,
    }


def _rich(text: str) -> Json:
    section = {"type": "rich_text_section", "elements": [{"type": "text", "text": text}]}
    return {"type": "rich_text", "elements": [section]}


def _short(chunk: Json, name: str) -> str:
    value: Any = chunk.get(name)
    if not isinstance(value, str) or not 1 <= len(value) <= TASK_CHARS:
        raise Refused("invalid_chunks", f"{name} must have 1 to {TASK_CHARS} characters")
    return value


METHODS: dict[str, Method] = {
    "agents.sessions.setStatus": set_status,
    "chat.startStream": start_stream,
    "chat.appendStream": append_stream,
    "chat.stopStream": stop_stream,
}
