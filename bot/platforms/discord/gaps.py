"""What was said to the bot while it was away.

The gateway repeats what was missed only in a session that is resumed. A new session (after a restart, or a
longer break) begins with reading what was said in the last hours. No cursor is kept: whatever had its effect
is claimed, and comes to nothing the second time.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import discord

from bot.platforms.catching_up import readable
from bot.platforms.discord.api import DiscordApi
from bot.platforms.discord.reading import DiscordReader

Lively = discord.TextChannel | discord.VoiceChannel | discord.Thread

LOOK_BACK = timedelta(hours=6)
MOST_CHANNELS = 50
_MESSAGES_PER_CHANNEL = 100


async def missed_messages(
    api: DiscordApi, reader: DiscordReader, guild: discord.Guild, direct: Iterable[discord.DMChannel]
) -> list[discord.Message]:
    """Messages of the last hours that may concern the bot and carry no sign of it yet, oldest first.

    Looked at are channels and open threads in which something was said meanwhile, and the direct channels
    that this process knows: Discord lists none.
    """
    since = discord.utils.time_snowflake(datetime.now(UTC) - LOOK_BACK)
    places: list[Lively] = [*guild.text_channels, *guild.voice_channels, *guild.threads]
    lively = [place for place in places if (place.last_message_id or 0) > since]
    lively.sort(key=lambda place: place.last_message_id or 0, reverse=True)
    found: list[discord.Message] = []
    for channel in [*lively[:MOST_CHANNELS], *direct]:
        found.extend(await _in_channel(api, reader, channel, since))
    return sorted(found, key=lambda message: message.id)


async def _in_channel(
    api: DiscordApi,
    reader: DiscordReader,
    channel: Lively | discord.DMChannel,
    since: int,
) -> list[discord.Message]:
    async def read() -> list[discord.Message]:
        history = channel.history(
            limit=_MESSAGES_PER_CHANNEL, after=discord.Object(since), oldest_first=False
        )
        return [message async for message in history]

    messages = await readable(lambda: api.call("read what was missed", channel.id, read), str(channel.id))
    own = [message for message in messages or () if reader.said_by_person(message)]
    return [m for m in own if reader.may_concern(m) and not reader.was_answered(m)]
