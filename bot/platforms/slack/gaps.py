"""What was said while the bot was away.

Slack sends an event again a few times within an hour and then never; a bot that was away longer finds nothing
in its mailbox. So on each start the recent history is read. No cursor is kept: whatever had its effect is
claimed, and comes to nothing the second time.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from functools import partial

from bot.platforms.catching_up import readable
from bot.platforms.slack.api import Json, SlackApi
from bot.platforms.slack.reading import SlackReader

LOOK_BACK_SECONDS = 6 * 3600.0
MOST_CHANNELS = 50
MOST_THREADS = 20
"""Threads of a channel in which replies are looked for: those with the newest."""

_MESSAGES = 100
"""Of a channel, and of a thread. A thread that begins further back is not found."""


async def missed_messages(api: SlackApi, reader: SlackReader) -> list[Json]:
    """Messages of the last hours that carry no sign of the bot yet, those in threads too, oldest first.

    Whether they are for the bot is not asked. Raises: PlatformError.
    """
    answer = await api.call(
        "users.conversations",
        types="public_channel,private_channel,im",
        exclude_archived=True,
        limit=MOST_CHANNELS,
    )
    since = time.time() - LOOK_BACK_SECONDS
    found: list[Json] = []
    for channel in answer["channels"]:
        said = await _in_channel(api, str(channel["id"]), since)
        kind = "im" if channel.get("is_im") else "channel"
        found += [{**message, "channel": channel["id"], "channel_type": kind} for message in said]
    missed = [message for message in found if not reader.was_answered(message)]
    return sorted(missed, key=lambda message: float(message["ts"]))


async def _in_channel(api: SlackApi, channel: str, since: float) -> list[Json]:
    top = await _messages(channel, partial(_history, api, channel))
    said = [message for message in top if float(message["ts"]) > since]
    lively = [message for message in top if float(message.get("latest_reply") or 0) > since]
    lively.sort(key=lambda message: float(message["latest_reply"]), reverse=True)
    for root in lively[:MOST_THREADS]:
        thread = await _messages(channel, partial(_replies, api, channel, str(root["ts"]), since))
        # The first message comes whatever the time.
        said += [reply for reply in thread if reply["ts"] != root["ts"]]
    return said


async def _history(api: SlackApi, channel: str) -> Json:
    return await api.call("conversations.history", channel=channel, limit=_MESSAGES)


async def _replies(api: SlackApi, channel: str, root: str, since: float) -> Json:
    return await api.call(
        "conversations.replies", channel=channel, ts=root, oldest=f"{since:.6f}", limit=_MESSAGES
    )


async def _messages(channel: str, read: Callable[[], Awaitable[Json]]) -> list[Json]:
    answer = await readable(read, channel)
    return list(answer["messages"]) if answer is not None else []
