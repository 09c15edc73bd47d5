"""Frames on the socket: four bytes of length (big-endian), then that many bytes of JSON."""

from __future__ import annotations

import asyncio
import json
import struct

MAX_FRAME_BYTES = 16 * 1024 * 1024
HEADER = struct.Struct(">I")


class BadFrame(Exception):
    """The other side does not speak the protocol."""


async def read_frame(reader: asyncio.StreamReader) -> dict[str, object] | None:
    """The next frame, or None when the other side has gone. Raises: BadFrame."""
    try:
        (length,) = HEADER.unpack(await reader.readexactly(HEADER.size))
        if length > MAX_FRAME_BYTES:
            raise BadFrame(f"a frame of {length} bytes is over the limit")
        payload = await reader.readexactly(length)
    except (asyncio.IncompleteReadError, OSError):
        return None
    try:
        frame = json.loads(payload)
    except ValueError as error:
        raise BadFrame("a frame is not JSON") from error
    if not isinstance(frame, dict):
        raise BadFrame("a frame is not an object")
    return frame


def frame_of(content: dict[str, object]) -> bytes:
    """The bytes of one frame."""
    # Escaped to ASCII, so that lone surrogates of odd file names survive the journey.
    payload = json.dumps(content, separators=(",", ":")).encode("ascii")
    return HEADER.pack(len(payload)) + payload
