"""Files that people attach, as the agent gets them: text and pictures are read, everything else is named."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable

from session.people import Attachment

MOST_FILES = 10
TEXT_CHARACTERS = 100_000
MOST_TEXT_BYTES = 1_000_000
MOST_IMAGE_BYTES = 4_000_000

_TEXT_TYPES = (
    "text/",
    "application/json",
    "application/xml",
    "application/x-yaml",
    "application/javascript",
)
_IMAGE_TYPES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})


async def attached(
    name: str, media_type: str, size_bytes: int, read: Callable[[int], Awaitable[bytes | None]]
) -> Attachment:
    """The file with what is in it. `read` gives at most so many bytes, None when they do not come: then, as
    with a file that is too large or of another kind, it is only named."""
    text = image = None
    if media_type.startswith(_TEXT_TYPES) and size_bytes <= MOST_TEXT_BYTES:
        content = await read(MOST_TEXT_BYTES)
        text = content.decode("utf-8", "replace")[:TEXT_CHARACTERS] if content is not None else None
    elif media_type in _IMAGE_TYPES and size_bytes <= MOST_IMAGE_BYTES:
        content = await read(MOST_IMAGE_BYTES)
        if content is not None:
            image = f"data:{media_type};base64,{base64.b64encode(content).decode()}"
    return Attachment(
        name=name, media_type=media_type, size_bytes=size_bytes, text=text, image_data_url=image
    )
