"""`chat.*` and `reactions.*`."""

from __future__ import annotations

import re

from tests.emulators.slack.calls import Call, Method, content_of
from tests.emulators.slack.limits import check_blocks
from tests.emulators.slack.payloads import message_payload
from tests.emulators.slack.refusals import Json, Refused
from tests.emulators.slack.workspace import Channel, Message

STANDARD_EMOJI = frozenset(
    {"eyes", "white_check_mark", "heavy_check_mark", "x", "octagonal_sign", "repeat", "fork_and_knife"}
    | {"bellhop_bell", "bell", "+1", "-1", "thumbsup", "thumbsdown", "tada", "rocket", "hourglass"}
    | {"hourglass_flowing_sand", "warning", "construction", "gear", "robot_face", "question", "wave"}
    | {"no_entry", "no_entry_sign", "raised_hand", "ok_hand", "heart", "fire", "100", "pray", "clap"}
    | {"zzz", "hammer_and_wrench", "double_vertical_bar", "arrows_counterclockwise", "memo", "lock"}
    | {"bulb", "bug", "sparkles", "pencil2", "speech_balloon", "stopwatch", "red_circle"}
    | {"large_green_circle", "large_yellow_circle", "large_blue_circle", "inbox_tray", "package"}
)
"""Names every workspace has (those a bot may want); any other must be among the workspace's own."""

_SKIN_TONE = re.compile(r"::skin-tone-[2-6]$")


async def post_message(call: Call) -> Json:
    """A new message."""
    channel = _joined_channel(call)
    content = content_of(call)
    message = call.workspace.post(
        channel,
        call.workspace.bot,
        content.text,
        blocks=content.blocks,
        thread_ts=_thread_ts(call, channel),
        metadata=content.metadata,
    )
    call.feed.message_posted(message)
    return {"channel": channel.id, "ts": message.ts, "message": message_payload(message)}


async def post_ephemeral(call: Call) -> Json:
    """A message only one person sees."""
    channel = _joined_channel(call)
    user_id = call.text("user")
    if user_id not in channel.members:
        raise Refused("user_not_in_channel")
    content = content_of(call)
    message = call.workspace.post(
        channel,
        call.workspace.bot,
        content.text,
        blocks=content.blocks,
        thread_ts=_thread_ts(call, channel),
        ephemeral_for=user_id,
    )
    return {"message_ts": message.ts}


async def update(call: Call) -> Json:
    """Another content for a message of the bot."""
    message = _own_message(call, "cant_update_message")
    if message.streaming:
        raise Refused("streaming_state_conflict")
    content = content_of(call)
    before = message_payload(message)
    message.revisions.append(message.shown)
    message.text, message.blocks = content.text, content.blocks
    message.metadata = content.metadata or message.metadata
    call.workspace.watch.changed()
    call.feed.message_changed(message, before)
    return {
        "channel": message.channel.id,
        "ts": message.ts,
        "text": message.text,
        "message": message_payload(message),
    }


async def delete(call: Call) -> Json:
    """A message of the bot is gone."""
    message = _own_message(call, "cant_delete_message")
    message.deleted = True
    call.workspace.watch.changed()
    return {"channel": message.channel.id, "ts": message.ts}


async def get_permalink(call: Call) -> Json:
    """An address that leads to a message."""
    message = call.workspace.message(call.text("channel"), call.text("message_ts"))
    path = f"archives/{message.channel.id}/p{message.ts.replace('.', '')}"
    return {"channel": message.channel.id, "permalink": f"https://emulated.slack.com/{path}"}


async def unfurl(call: Call) -> Json:
    """A preview of links in somebody's message, kept in that message's metadata."""
    message, shared = _shared(call)
    unfurls = call.args.get("unfurls")
    if not isinstance(unfurls, dict) or not unfurls:
        raise Refused("missing_unfurls")
    for url, content in unfurls.items():
        if url not in shared:
            raise Refused("cannot_unfurl_url", url)
        if not isinstance(content, dict) or not check_blocks(content.get("blocks")):
            raise Refused("invalid_unfurls_format", url)
    message.metadata = {**(message.metadata or {}), "unfurls": unfurls}
    call.workspace.watch.changed()
    return {}


def _shared(call: Call) -> tuple[Message, set[str]]:
    """The message that has links, named by its time or by the id in the event, and its links."""
    links = call.workspace.shared_links
    if "unfurl_id" in call.args or "source" in call.args:
        if call.args.get("source") not in ("composer", "conversations_history"):
            raise Refused("invalid_source")
        if call.text("unfurl_id") not in links:
            raise Refused("invalid_unfurl_id")
        message, url = links[call.text("unfurl_id")]
        return message, {url}
    message = call.workspace.message(call.text("channel"), call.text("ts"))
    return message, {url for shared, url in links.values() if shared is message}


async def add_reaction(call: Call) -> Json:
    """One more reaction of the bot."""
    message, name = _reaction_target(call)
    users = message.reactions.setdefault(name, [])
    if call.workspace.bot.id in users:
        raise Refused("already_reacted")
    users.append(call.workspace.bot.id)
    call.workspace.watch.changed()
    call.feed.reaction(message, call.workspace.bot, name, added=True)
    return {}


async def remove_reaction(call: Call) -> Json:
    """One reaction of the bot less."""
    message, name = _reaction_target(call)
    if call.workspace.bot.id not in message.reactions.get(name, []):
        raise Refused("no_reaction")
    withdraw(message, name, call.workspace.bot.id)
    call.workspace.watch.changed()
    call.feed.reaction(message, call.workspace.bot, name, added=False)
    return {}


async def get_reactions(call: Call) -> Json:
    """A message with its reactions."""
    message = call.workspace.message(call.text("channel"), call.text("timestamp"))
    return {"type": "message", "channel": message.channel.id, "message": message_payload(message)}


def withdraw(message: Message, name: str, user_id: str) -> None:
    """Take one person's reaction off a message."""
    message.reactions[name].remove(user_id)
    if not message.reactions[name]:
        del message.reactions[name]


def is_emoji(name: str, custom: dict[str, str]) -> bool:
    """Whether the workspace has an emoji of that name."""
    return _SKIN_TONE.sub("", name) in STANDARD_EMOJI or name in custom


def _reaction_target(call: Call) -> tuple[Message, str]:
    name = call.text("name")
    if not is_emoji(name, call.workspace.custom_emoji):
        raise Refused("invalid_name", name)
    message = call.workspace.message(call.text("channel"), call.text("timestamp"))
    if message.ephemeral_for:
        raise Refused("message_not_found")
    return message, name


def _joined_channel(call: Call) -> Channel:
    target = call.text("channel")
    workspace = call.workspace
    channel = workspace.direct_channel(target) if target in workspace.users else workspace.channel(target)
    if workspace.bot.id not in channel.members:
        raise Refused("not_in_channel")
    return channel


def _thread_ts(call: Call, channel: Channel) -> str | None:
    thread_ts = call.args.get("thread_ts")
    if thread_ts is None:
        return None
    root = call.workspace.message(channel.id, thread_ts)
    if root.thread_ts is not None:
        call.violate(f"{call.method}: thread_ts {thread_ts} is a reply, not the start of a thread")
    return root.root_ts


def _own_message(call: Call, error: str) -> Message:
    message = call.workspace.message(call.text("channel"), call.text("ts"))
    if message.author is not call.workspace.bot or message.ephemeral_for:
        raise Refused(error)
    return message


METHODS: dict[str, Method] = {
    "chat.postMessage": post_message,
    "chat.postEphemeral": post_ephemeral,
    "chat.update": update,
    "chat.delete": delete,
    "chat.getPermalink": get_permalink,
    "chat.unfurl": unfurl,
    "reactions.add": add_reaction,
    "reactions.remove": remove_reaction,
    "reactions.get": get_reactions,
}
