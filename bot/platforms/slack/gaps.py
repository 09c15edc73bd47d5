"""What was said while the bot was away.

Slack sends an event again a few times within an hour and then never; a bot that was away longer finds nothing
in its mailbox. So on each start the recent history is read. No cursor is kept: whatever had its effect is
claimed, and comes to nothing the second time.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial

from bot.platforms.catching_up import readable
from bot.platforms.protocol import Inbox
from bot.platforms.slack.api import Json, SlackApi
from bot.platforms.slack.reading import SlackReader

LOOK_BACK_SECONDS = 6 * 3600.0
MOST_CHANNELS = 50
MOST_THREADS = 20
"""Threads of a channel in which replies are looked for: those with the newest."""

SESSION_DAYS = 14
MOST_SESSION_THREADS = 50
"""Threads of sessions that are read wherever they begin: those whose sessions moved last."""

_MESSAGES = 100
"""Of a channel, and of a thread. A thread that begins further back is found where a session lives in it."""


@dataclass(slots=True)
class _Heard:
    """`messages`: what was found so far. `threads`: those of which that is all, by channel and first message.

    `kinds`: what each channel is, by its id. `closed`: channels that could not be read.
    """

    messages: list[Json] = field(default_factory=list)
    threads: set[tuple[str, str]] = field(default_factory=set)
    kinds: dict[str, str] = field(default_factory=dict)
    closed: set[str] = field(default_factory=set)


async def missed_messages(api: SlackApi, reader: SlackReader, inbox: Inbox) -> list[Json]:
    """Messages of the last hours that carry no sign of the bot yet, those in threads too, oldest first.

    `inbox` knows in which threads sessions live. Whether a message is for the bot is not asked.
    Raises: PlatformError, DatabaseDown.
    """
    answer = await api.call(
        "users.conversations",
        types="public_channel,private_channel,im",
        exclude_archived=True,
        limit=MOST_CHANNELS,
    )
    since = time.time() - LOOK_BACK_SECONDS
    heard = _Heard()
    for channel in answer["channels"]:
        heard.kinds[str(channel["id"])] = "im" if channel.get("is_im") else "channel"
        await _hear_channel(api, str(channel["id"]), since, heard)
    lately = timedelta(days=SESSION_DAYS)
    for place in await inbox.lively_threads(reader.workspace, lately, MOST_SESSION_THREADS):
        if place.channel not in heard.closed and (place.channel, place.thread) not in heard.threads:
            await _hear_thread(api, place.channel, place.thread, since, heard)
    missed = [message for message in heard.messages if not reader.was_answered(message)]
    return sorted(missed, key=lambda message: float(message["ts"]))


async def _hear_channel(api: SlackApi, channel: str, since: float, heard: _Heard) -> None:
    top = await _messages(channel, partial(_history, api, channel))
    if top is None:
        heard.closed.add(channel)
        return
    _note(heard, channel, [message for message in top if float(message["ts"]) > since])
    newest = {str(message["ts"]): float(message.get("latest_reply") or 0) for message in top}
    heard.threads |= {(channel, ts) for ts, at in newest.items() if at <= since}
    lively = sorted((ts for ts, at in newest.items() if at > since), key=newest.__getitem__, reverse=True)
    for root in lively[:MOST_THREADS]:
        await _hear_thread(api, channel, root, since, heard)


async def _hear_thread(api: SlackApi, channel: str, root: str, since: float, heard: _Heard) -> None:
    thread = await _messages(channel, partial(_replies, api, channel, root, since))
    heard.threads.add((channel, root))
    # The first message comes whatever the time.
    _note(heard, channel, [reply for reply in thread or () if reply["ts"] != root])


def _note(heard: _Heard, channel: str, said: Sequence[Json]) -> None:
    kind = heard.kinds.get(channel, "channel")
    heard.messages += [{**message, "channel": channel, "channel_type": kind} for message in said]


async def _history(api: SlackApi, channel: str) -> Json:
    return await api.call("conversations.history", channel=channel, limit=_MESSAGES)


async def _replies(api: SlackApi, channel: str, root: str, since: float) -> Json:
    return await api.call(
        "conversations.replies", channel=channel, ts=root, oldest=f"{since:.6f}", limit=_MESSAGES
    )


async def _messages(channel: str, read: Callable[[], Awaitable[Json]]) -> list[Json] | None:
    answer = await readable(read, channel)
    return list(answer["messages"]) if answer is not None else None
