"""What was said to the bot while it was away.

Slack sends an event again a few times within an hour and then never; a bot that was away longer finds nothing
in its mailbox. So on each start the recent history is read. No cursor is kept: whatever had its effect is
claimed, and comes to nothing the second time.
"""

from __future__ import annotations

import time
from typing import Any

from bot.platforms.catching_up import readable
from bot.platforms.slack.api import Json, SlackApi
from bot.platforms.slack.reading import SlackReader

LOOK_BACK_SECONDS = 6 * 3600.0
MOST_CHANNELS = 50
_MESSAGES_PER_CHANNEL = 100


async def missed_messages(api: SlackApi, reader: SlackReader) -> list[Json]:
    """Messages of the last hours that call on the bot and carry no sign of it yet, oldest first.

    Replies inside threads are not looked at. Raises: PlatformError.
    """
    answer = await api.call(
        "users.conversations",
        types="public_channel,private_channel,im",
        exclude_archived=True,
        limit=MOST_CHANNELS,
    )
    found: list[Json] = []
    for channel in answer["channels"]:
        found.extend(await _in_channel(api, reader, channel))
    return sorted(found, key=lambda message: float(message["ts"]))


async def _in_channel(api: SlackApi, reader: SlackReader, channel: Json) -> list[Json]:
    oldest = f"{time.time() - LOOK_BACK_SECONDS:.6f}"
    answer = await readable(
        lambda: api.call(
            "conversations.history", channel=channel["id"], oldest=oldest, limit=_MESSAGES_PER_CHANNEL
        ),
        str(channel["id"]),
    )
    if answer is None:
        return []
    kind = "im" if channel.get("is_im") else "channel"
    events: list[dict[str, Any]] = [
        {**message, "channel": channel["id"], "channel_type": kind} for message in answer["messages"]
    ]
    return [event for event in events if reader.may_concern(event) and not reader.was_answered(event)]
