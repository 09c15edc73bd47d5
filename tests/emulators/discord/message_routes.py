"""REST: messages and what stands under them.

Source: https://docs.discord.com/developers/resources/message
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import unquote

from tests.emulators.discord import shapes
from tests.emulators.discord.call import Call, Route, announce
from tests.emulators.discord.gateway import DIRECT_REACTIONS, GUILD_REACTIONS, Gateway
from tests.emulators.discord.message_rules import check_create, check_edit
from tests.emulators.discord.refusals import (
    ARCHIVED,
    CANNOT_MESSAGE_USER,
    LOCKED,
    NOT_YOURS,
    UNKNOWN_EMOJI,
    Json,
    Refused,
    forbidden,
    invalid,
)
from tests.emulators.discord.world import REPLY, SUPPRESS_EMBEDS, Channel, Message, User, World

_NO_EMOJI = re.compile(r"^[\w\s]*$")


def _history(call: Call) -> list[Json]:
    channel = call.channel("read_message_history")
    limit = int(call.query.get("limit", 50))
    if not 1 <= limit <= 100:
        raise invalid("limit", "NUMBER_TYPE_MAX", "int value should be between 1 and 100")
    found = list(call.world.in_channel(channel))
    if "after" in call.query:
        found = [m for m in found if m.id > int(call.query["after"])][:limit]
    elif "before" in call.query:
        found = [m for m in found if m.id < int(call.query["before"])]
    return [call.shape(message) for message in reversed(found[-limit:])]


def _get_message(call: Call) -> Json:
    call.channel("read_message_history")
    return call.shape(call.world.message(call.number(0), call.number(1)))


def _create_message(call: Call) -> Json:
    channel = call.channel()
    world = call.world
    if not world.may(channel, "send_messages_in_threads" if channel.is_thread else "send_messages"):
        raise forbidden()
    if channel.locked:
        raise Refused(400, LOCKED, "Thread is locked")
    if channel.recipient is not None and not channel.recipient.takes_messages:
        raise forbidden(CANNOT_MESSAGE_USER, "Cannot send messages to this user")
    content = check_create(call.body)
    nonce = str(call.body["nonce"]) if call.body.get("nonce") is not None else None
    if nonce and call.body.get("enforce_nonce"):
        same = next(
            (m for m in world.in_channel(channel) if m.author is world.bot and m.nonce == nonce), None
        )
        if same is not None:
            return {**call.shape(same), "nonce": nonce}
    if content.rings:
        call.violated(f"a message rings {', '.join(content.rings)}")
    channel.archived = False
    message = Message(
        world.new_id(),
        channel,
        world.bot,
        content.content,
        content.components,
        flags=content.flags,
        nonce=nonce,
    )
    _refer(call, channel, message)
    world.add(message)
    announce(world, call.gateway, message)
    return {**call.shape(message), "nonce": nonce}


def _refer(call: Call, channel: Channel, message: Message) -> None:
    reference = call.body.get("message_reference")
    if not reference:
        return
    try:
        message.reference = call.world.message(channel.id, int(reference["message_id"]))
    except Refused:
        if reference.get("fail_if_not_exists", True):
            raise invalid("message_reference", "REPLIES_UNKNOWN_MESSAGE", "Unknown message") from None
        return
    message.kind = REPLY


def _edit_message(call: Call) -> Json:
    channel = call.channel()
    message = call.world.message(call.number(0), call.number(1))
    if message.author is not call.world.bot:
        raise Refused(403, NOT_YOURS, "Cannot edit a message authored by another user")
    if channel.archived:
        raise Refused(400, ARCHIVED, "Thread is archived")
    content = check_edit(call.body, message.flags & ~SUPPRESS_EMBEDS)
    if content.rings:
        call.violated(f"an edit rings {', '.join(content.rings)}")
    message.revisions.append(message.shown)
    message.content, message.components, message.flags = content.content, content.components, content.flags
    announce(call.world, call.gateway, message, "MESSAGE_UPDATE")
    call.world.watch.changed()
    return call.shape(message)


def reacted(world: World, gateway: Gateway, message: Message, by: User, name: str, *, added: bool) -> None:
    """Put somebody's emoji under a message or take it away, and tell the gateway."""
    ids = message.reactions.setdefault(name, [])
    if (by.id in ids) == added:
        return
    if added:
        ids.append(by.id)
    else:
        ids.remove(by.id)
    in_guild = message.channel.in_guild
    told: Json = {
        "user_id": str(by.id),
        "channel_id": str(message.channel.id),
        "message_id": str(message.id),
        "emoji": {"id": None, "name": name},
        "burst": False,
        "type": 0,
    }
    if in_guild:
        told["guild_id"] = str(world.guild_id)
    if added:
        told["message_author_id"] = str(message.author.id)
        if in_guild:
            told["member"] = shapes.whole_member(by)
    event = "MESSAGE_REACTION_ADD" if added else "MESSAGE_REACTION_REMOVE"
    gateway.tell(event, GUILD_REACTIONS if in_guild else DIRECT_REACTIONS, lambda _: told)
    world.watch.changed()


def _react(call: Call) -> None:
    _reaction(call, added=True)


def _unreact(call: Call) -> None:
    _reaction(call, added=False)


def _reaction(call: Call, *, added: bool) -> None:
    channel = call.channel("read_message_history", *(["add_reactions"] if added else []))
    message = call.world.message(call.number(0), call.number(1))
    name = unquote(call.ids[2])
    if _NO_EMOJI.match(name):
        raise Refused(400, UNKNOWN_EMOJI, "Unknown Emoji")
    if channel.archived:
        raise Refused(400, ARCHIVED, "Thread is archived")
    reacted(call.world, call.gateway, message, call.world.bot, name, added=added)


ROUTES: Mapping[str, Route] = {
    "GET /channels/{}/messages": _history,
    "POST /channels/{}/messages": _create_message,
    "GET /channels/{}/messages/{}": _get_message,
    "PATCH /channels/{}/messages/{}": _edit_message,
    "PUT /channels/{}/messages/{}/reactions/{}/@me": _react,
    "DELETE /channels/{}/messages/{}/reactions/{}/@me": _unreact,
}
