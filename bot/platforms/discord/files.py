"""Files that people attach: text and pictures are read, everything else is named."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Sequence
from functools import partial

import discord

from bot.messages import Clip, is_clip
from bot.platforms.discord.api import DiscordApi
from bot.platforms.protocol import PlatformError
from session.people import Attachment

TEXT_CHARACTERS = 100_000
MOST_TEXT_BYTES = 1_000_000
MOST_IMAGE_BYTES = 4_000_000
MOST_FILES = 10

_TEXT_TYPES = (
    "text/",
    "application/json",
    "application/xml",
    "application/x-yaml",
    "application/javascript",
)
_IMAGE_TYPES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})


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
        read=partial(_recording, api, file),
    )


async def _recording(api: DiscordApi, file: discord.Attachment, most_bytes: int) -> bytes | None:
    return await _content(api, file) if file.size <= most_bytes else None


def _kind(file: discord.Attachment) -> str:
    return (file.content_type or "").partition(";")[0].strip()


async def _read(api: DiscordApi, file: discord.Attachment) -> Attachment:
    kind = _kind(file)
    text = image = None
    if kind.startswith(_TEXT_TYPES) and file.size <= MOST_TEXT_BYTES:
        content = await _content(api, file)
        text = content.decode("utf-8", "replace")[:TEXT_CHARACTERS] if content is not None else None
    elif kind in _IMAGE_TYPES and file.size <= MOST_IMAGE_BYTES:
        content = await _content(api, file)
        if content is not None:
            image = f"data:{kind};base64,{base64.b64encode(content).decode()}"
    return Attachment(
        name=file.filename, media_type=kind, size_bytes=file.size, text=text, image_data_url=image
    )


async def _content(api: DiscordApi, file: discord.Attachment) -> bytes | None:
    """The file's bytes; None when it does not come, so that it is only named."""
    try:
        return await api.call("read a file", file.id, file.read)
    except PlatformError:
        return None
