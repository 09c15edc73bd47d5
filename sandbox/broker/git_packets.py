"""The framing of git's protocols: packet lines, and as much of version 2 as has to be checked.

Source: gitprotocol-common(5), gitprotocol-pack(5), gitprotocol-v2(5).
"""

from __future__ import annotations

import re
import zlib
from collections.abc import AsyncIterator, Iterator

FLUSH = b"0000"
MAX_PACKET_BYTES = 65520
_HEADER_BYTES = 4
_SPECIAL_LENGTHS = (0, 1, 2)
_LENGTH = re.compile(rb"[0-9a-fA-F]{4}")
_OBJECT_ID = re.compile(rb"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_PROGRESS, _FATAL = b"\x02", b"\x03"
_COMMANDS = (b"ls-refs", b"fetch")
_GZIP_WINDOW = 16 + zlib.MAX_WBITS
_PIECE_BYTES = 64 * 1024


class BadRequest(Exception):
    """What came is not git's protocol, or more than is taken; the message can be shown."""


def packet(content: bytes) -> bytes:
    """The content as one packet line."""
    return b"%04x" % (len(content) + _HEADER_BYTES) + content


def progress_packet(sentence: str) -> bytes:
    """What makes a pushing git show the sentence after `remote:`."""
    return packet(_PROGRESS + f"bellhop: {sentence}\n".encode())


def fatal_packet(sentence: str) -> bytes:
    """What makes a pushing git stop and show the sentence."""
    return packet(_FATAL + f"bellhop: {sentence}\n".encode())


def packets(content: bytes) -> Iterator[bytes]:
    """The packet lines' contents without line ends, delimiters left out. Raises: BadRequest."""
    position = 0
    while position < len(content):
        header = content[position : position + _HEADER_BYTES]
        if not _LENGTH.fullmatch(header):
            raise BadRequest("The request is not in git's packet format.")
        length = int(header, 16)
        if length in _SPECIAL_LENGTHS:
            position += _HEADER_BYTES
            continue
        if not _HEADER_BYTES <= length <= MAX_PACKET_BYTES or position + length > len(content):
            raise BadRequest("The request ends within a packet.")
        yield content[position + _HEADER_BYTES : position + length].removesuffix(b"\n")
        position += length


def wanted(request: bytes, *, version_2: bool) -> set[str]:
    """The objects that a fetch asks for; none when it asks for a list of refs. Raises: BadRequest."""
    lines = list(packets(request))
    if version_2 and lines:
        _check_command(lines)
    asked = [line.removeprefix(b"want ") for line in lines if line.startswith(b"want ")]
    if not version_2:
        asked = [line.split(b" ", 1)[0] for line in asked]  # what the client can do follows the id
    if not all(_OBJECT_ID.fullmatch(name) for name in asked):
        raise BadRequest("An object is asked for by something that is not its id.")
    return {name.decode() for name in asked}


def _check_command(lines: list[bytes]) -> None:
    commands = [line for line in lines if line.startswith(b"command=")]
    if commands != lines[:1] or commands[0].removeprefix(b"command=") not in _COMMANDS:
        raise BadRequest("One request for ls-refs or fetch is served here.")


async def unpacked(body: AsyncIterator[bytes], encoding: str) -> AsyncIterator[bytes]:
    """The body without its content coding, in pieces that stay small however well it was packed.

    Raises: BadRequest.
    """
    if encoding in ("", "identity"):
        async for piece in body:
            yield piece
        return
    if encoding not in ("gzip", "x-gzip"):
        raise BadRequest(f"The content coding {encoding} is not served here; send gzip or none.")
    stream = zlib.decompressobj(_GZIP_WINDOW)
    try:
        async for piece in body:
            left = piece
            while left and not stream.eof:
                yield stream.decompress(left, _PIECE_BYTES)
                left = stream.unconsumed_tail
    except zlib.error as error:
        raise BadRequest("The request is not what its content coding says.") from error
    if not stream.eof:
        raise BadRequest("The request's gzip data ends too soon.")


async def collected(body: AsyncIterator[bytes], max_bytes: int) -> bytes:
    """The whole body. Raises: BadRequest when it is larger."""
    kept = bytearray()
    async for piece in body:
        kept += piece
        if len(kept) > max_bytes:
            raise BadRequest(f"The request is larger than the {max_bytes} bytes that are taken.")
    return bytes(kept)
