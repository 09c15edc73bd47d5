"""REST: channels, threads, direct channels.

Source: https://docs.discord.com/developers/resources/channel
"""

from __future__ import annotations

from collections.abc import Mapping

from tests.emulators.discord import shapes
from tests.emulators.discord.call import Call, Route, begin_thread
from tests.emulators.discord.refusals import (
    THREAD_EXISTS,
    UNKNOWN_USER,
    WRONG_CHANNEL_TYPE,
    Json,
    Refused,
    forbidden,
    invalid,
    unknown,
)
from tests.emulators.discord.world import ANNOUNCEMENT, DM, TEXT, Channel, User, World


def _channel(call: Call) -> Json:
    return shapes.channel(call.channel(), call.world)


def _begin_thread(call: Call) -> Json:
    channel = call.channel("create_public_threads")
    if channel.kind not in (TEXT, ANNOUNCEMENT):
        raise Refused(400, WRONG_CHANNEL_TYPE, "Cannot execute action on this channel type")
    source = call.world.message(call.number(0), call.number(1))
    if call.world.thread_of(source) is not None:
        raise Refused(400, THREAD_EXISTS, "A thread has already been created for this message")
    name = call.body.get("name")
    if not isinstance(name, str) or not 1 <= len(name.strip()) <= 100:
        raise invalid("name", "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 100 in length.")
    if call.body.get("auto_archive_duration", 1440) not in (60, 1440, 4320, 10080):
        raise invalid("auto_archive_duration", "BASE_TYPE_CHOICES", "Value must be one of the known ones")
    thread = begin_thread(call.world, call.gateway, channel, source, name.strip(), call.world.bot)
    return shapes.channel(thread, call.world)


def _edit_channel(call: Call) -> Json:
    channel = call.channel()
    if set(call.body) != {"archived"} or not channel.is_thread:
        raise invalid("body", "UNKNOWN_FIELD", "only the opening of an archived thread is known here")
    if channel.locked:
        raise forbidden()
    channel.archived = bool(call.body["archived"])
    return shapes.channel(channel, call.world)


def _open_direct(call: Call) -> Json:
    found = call.world.users.get(int(call.body.get("recipient_id", 0)))
    if found is None:
        raise unknown(UNKNOWN_USER, "User")
    return shapes.channel(direct_channel(call.world, found), call.world)


def direct_channel(world: World, account: User) -> Channel:
    """The direct channel of that account with the bot."""
    found = next((c for c in world.channels.values() if c.recipient is account), None)
    if found is None:
        found = Channel(world.new_id(), account.name, DM, recipient=account)
        world.channels[found.id] = found
    return found


ROUTES: Mapping[str, Route] = {
    "GET /channels/{}": _channel,
    "PATCH /channels/{}": _edit_channel,
    "POST /channels/{}/messages/{}/threads": _begin_thread,
    "POST /users/@me/channels": _open_direct,
}
