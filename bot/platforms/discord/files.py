"""Files that people attach: text and pictures are read, everything else is named."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial

import discord

from bot.messages import Clip, is_clip
from bot.platforms.attached import MOST_FILES, attached
from bot.platforms.discord.api import DiscordApi
from bot.platforms.protocol import PlatformError
from session.people import Attachment


async def read_files(api: DiscordApi, files: Sequence[discord.Attachment]) -> tuple[Attachment, ...]:
    """The files as the agent gets them, apart from recordings; at most ten.

    No token goes along: their addresses are signed.
    """
    written = [file for file in files if not is_clip(_kind(file))][:MOST_FILES]
    return tuple(await asyncio.gather(*(_read(api, file) for file in written)))


def clips(api: DiscordApi, files: Sequence[discord.Attachment]) -> tuple[Clip, ...]:
    """The recordings among the files, not read yet; at most ten."""
    return tuple(_clip(api, file) for file in files if is_clip(_kind(file)))[:MOST_FILES]


def _clip(api: DiscordApi, file: discord.Attachment) -> Clip:
    return Clip(
        name=file.filename,
        media_type=_kind(file),
        size_bytes=file.size,
        seconds=file.duration,
        read=partial(_at_most, api, file),
    )


async def _at_most(api: DiscordApi, file: discord.Attachment, most_bytes: int) -> bytes | None:
    return await _content(api, file) if file.size <= most_bytes else None


def _kind(file: discord.Attachment) -> str:
    return (file.content_type or "").partition(";")[0].strip()


async def _read(api: DiscordApi, file: discord.Attachment) -> Attachment:
    return await attached(file.filename, _kind(file), file.size, partial(_at_most, api, file))


async def _content(api: DiscordApi, file: discord.Attachment) -> bytes | None:
    """The file's bytes; None when it does not come, so that it is only named."""
    try:
        return await api.call("read a file", file.id, file.read)
    except PlatformError:
        return None
