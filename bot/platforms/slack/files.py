"""Files that people attach: text and pictures are read, everything else is named."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from urllib.parse import urlsplit

import aiohttp

from bot.messages import Clip, is_clip
from bot.platforms.attached import MOST_FILES, attached
from bot.platforms.slack.api import Json
from session.people import Attachment

_SECONDS = 15


class SlackFiles:
    """Reads files of one workspace with its token, from Slack's own hosts only.

    `api_url` is where the Web API lives: files from there are read too.
    """

    def __init__(self, token: str, api_url: str) -> None:
        self._token = token
        self._api = urlsplit(api_url)

    async def attachments(self, files: Sequence[Json]) -> tuple[Attachment, ...]:
        """The files as the agent gets them, apart from recordings; at most ten."""
        written = [file for file in files if not is_clip(_kind(file))][:MOST_FILES]
        return tuple(await asyncio.gather(*(self._attachment(file) for file in written)))

    def clips(self, files: Sequence[Json]) -> tuple[Clip, ...]:
        """The recordings among the files, not read yet; at most ten."""
        return tuple(self._clip(file) for file in files if is_clip(_kind(file)))[:MOST_FILES]

    def _clip(self, file: Json) -> Clip:
        length = file.get("duration_ms")
        return Clip(
            name=str(file.get("name") or "recording"),
            media_type=_kind(file),
            size_bytes=int(file.get("size") or 0),
            seconds=float(length) / 1000 if length is not None else None,
            read=partial(self._read, _address(file)),
        )

    async def _attachment(self, file: Json) -> Attachment:
        name, size = str(file.get("name") or "file"), int(file.get("size") or 0)
        return await attached(name, _kind(file), size, partial(self._read, _address(file)))

    async def _read(self, address: str, most_bytes: int) -> bytes | None:
        """The file's bytes; None when it is not Slack's, too large, or does not come."""
        if not self._is_slacks(address):
            return None
        headers = {"Authorization": f"Bearer {self._token}"}
        timeout = aiohttp.ClientTimeout(total=_SECONDS)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.get(address, headers=headers, allow_redirects=False) as response,
            ):
                if response.status != 200:
                    return None
                content = await response.content.read(most_bytes + 1)
                while len(content) <= most_bytes and (more := await response.content.read(most_bytes)):
                    content += more
        except (aiohttp.ClientError, TimeoutError, OSError):
            return None
        return content if len(content) <= most_bytes else None

    def _is_slacks(self, address: str) -> bool:
        """The token goes nowhere else: a file's address comes from whoever attached it."""
        url = urlsplit(address)
        if (url.scheme, url.netloc) == (self._api.scheme, self._api.netloc):
            return True
        host = url.hostname or ""
        return url.scheme == "https" and (host == "files.slack.com" or host.endswith(".files.slack.com"))


def _kind(file: Json) -> str:
    return str(file.get("mimetype") or "")


def _address(file: Json) -> str:
    return str(file.get("url_private_download") or file.get("url_private") or "")
