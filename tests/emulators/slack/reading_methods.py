"""Methods that look things up: `conversations.*`, `users.*`, `files.*`, `emoji.*`, `bots.*`, `auth.*`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from tests.emulators.slack.calls import Call, Method
from tests.emulators.slack.method_rules import READ, kind_scope
from tests.emulators.slack.payloads import channel_payload, file_payload, message_payload, user_payload
from tests.emulators.slack.refusals import Json, Refused
from tests.emulators.slack.views import View
from tests.emulators.slack.workspace import APP_ID, BOT_ID, ChannelKind, Message

T = TypeVar("T")
_KINDS: dict[str, ChannelKind] = {"public_channel": "channel", "private_channel": "group", "im": "im"}


async def auth_test(call: Call) -> Json:
    """Who the token speaks for."""
    return {
        "url": "https://emulated.slack.com/",
        "team": "Emulated",
        "user": call.workspace.bot.name,
        "team_id": call.workspace.team_id,
        "user_id": call.workspace.bot.id,
        "bot_id": BOT_ID,
        "is_enterprise_install": False,
    }


async def bots_info(call: Call) -> Json:
    """The bot behind a bot id."""
    if call.args.get("bot") not in (None, BOT_ID):
        raise Refused("bot_not_found")
    bot = {"id": BOT_ID, "app_id": APP_ID, "user_id": call.workspace.bot.id, "name": call.workspace.bot.name}
    return {"bot": {**bot, "deleted": False}}


async def conversation_info(call: Call) -> Json:
    """One channel."""
    return {"channel": channel_payload(call.workspace.channel(call.text("channel")), call.workspace.bot.id)}


async def conversation_members(call: Call) -> Json:
    """Who is in a channel."""
    return {"members": sorted(call.workspace.channel(call.text("channel")).members)}


async def conversation_open(call: Call) -> Json:
    """The direct conversation with one person."""
    user_id = call.text("users")
    if user_id not in call.workspace.users:
        raise Refused("user_not_found")
    channel = call.workspace.direct_channel(user_id)
    return {"channel": {"id": channel.id, "is_im": True, "user": user_id}}


async def conversation_history(call: Call) -> Json:
    """The messages at the top level of a channel, newest first."""
    channel = call.workspace.channel(call.text("channel"))
    if call.workspace.bot.id not in channel.members:
        raise Refused("not_in_channel")
    top = [m for m in call.workspace.in_channel(channel) if m.thread_ts in (None, m.ts)]
    return _page(call, [m for m in reversed(top) if _in_range(call, m)], default=100)


async def conversation_replies(call: Call) -> Json:
    """A thread, oldest first; its first message comes whatever the range."""
    channel = call.workspace.channel(call.text("channel"))
    if call.workspace.bot.id not in channel.members:
        raise Refused("not_in_channel")
    wanted = call.text("ts")
    root_ts = next((m.root_ts for m in call.workspace.in_channel(channel) if m.ts == wanted), None)
    if root_ts is None:
        raise Refused("thread_not_found")
    thread = call.workspace.in_thread(channel, root_ts)
    return _page(call, [m for m in thread if m.ts == root_ts or _in_range(call, m)], default=1_000)


async def user_conversations(call: Call) -> Json:
    """The channels the bot is in."""
    types = str(call.args.get("types", "public_channel")).replace(" ", "").split(",")
    if not set(types) <= set(_KINDS):
        raise Refused("invalid_types", ",".join(types))
    wanted = {_KINDS[name] for name in types}
    call.need(*(kind_scope(kind, READ) for kind in wanted))
    bot_id = call.workspace.bot.id
    joined = [c for c in call.workspace.channels.values() if bot_id in c.members and c.kind in wanted]
    page, notes = _slice(call, joined, default=100)
    return {"channels": [channel_payload(channel, bot_id) for channel in page], **notes}


async def user_info(call: Call) -> Json:
    """One person."""
    user = call.workspace.users.get(call.text("user"))
    if user is None:
        raise Refused("user_not_found")
    return {"user": user_payload(user, with_email="users:read.email" in call.scopes)}


async def emoji_list(call: Call) -> Json:
    """The workspace's own emoji."""
    return {"emoji": dict(call.workspace.custom_emoji), "cache_ts": "1"}


async def file_info(call: Call) -> Json:
    """One uploaded file."""
    file = call.workspace.files.get(call.text("file"))
    if file is None:
        raise Refused("file_not_found")
    return {"file": file_payload(file)}


async def view_open(call: Call) -> Json:
    """A modal, in answer to something a person did."""
    return {"view": call.views.open(call.text("trigger_id"), call.args.get("view")).payload()}


async def view_update(call: Call) -> Json:
    """Another content for an open modal."""
    return {"view": _updated(call).payload()}


async def view_publish(call: Call) -> Json:
    """The home tab of one person."""
    user_id, view, seen = call.text("user_id"), call.args.get("view"), call.args.get("hash")
    return {"view": call.views.publish(user_id, view, seen).payload()}


def _updated(call: Call) -> View:
    return call.views.update(call.text("view_id"), call.args.get("view"), call.args.get("hash"))


def _in_range(call: Call, message: Message) -> bool:
    oldest, latest = float(call.args.get("oldest") or 0), float(call.args.get("latest") or "inf")
    at = float(message.ts)
    if call.flag("inclusive"):
        return oldest <= at <= latest
    return oldest < at < latest


def _page(call: Call, messages: Sequence[Message], default: int) -> Json:
    page, notes = _slice(call, [m for m in messages if m.ephemeral_for is None], default)
    return {"messages": [_with_replies(call, message) for message in page], **notes}


def _slice(call: Call, items: Sequence[T], default: int) -> tuple[Sequence[T], Json]:
    start, limit = int(call.args.get("cursor") or 0), call.number("limit", default)
    end = start + limit
    more = end < len(items)
    notes = {"has_more": more, "response_metadata": {"next_cursor": str(end) if more else ""}}
    return items[start:end], notes


MOST_REPLY_USERS = 5


def _with_replies(call: Call, message: Message) -> Json:
    payload = message_payload(message)
    replies = [m for m in call.workspace.in_thread(message.channel, message.ts) if m is not message]
    if not replies:
        return payload
    authors = list(dict.fromkeys(reply.author.id for reply in replies))
    counts = {
        "reply_count": len(replies),
        "reply_users_count": len(authors),
        "reply_users": authors[:MOST_REPLY_USERS],
        "latest_reply": replies[-1].ts,
        "thread_ts": message.ts,
    }
    return {**payload, **counts}


METHODS: dict[str, Method] = {
    "auth.test": auth_test,
    "bots.info": bots_info,
    "conversations.info": conversation_info,
    "conversations.members": conversation_members,
    "conversations.open": conversation_open,
    "conversations.history": conversation_history,
    "conversations.replies": conversation_replies,
    "users.conversations": user_conversations,
    "users.info": user_info,
    "emoji.list": emoji_list,
    "files.info": file_info,
    "views.open": view_open,
    "views.update": view_update,
    "views.publish": view_publish,
}
