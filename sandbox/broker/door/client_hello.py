"""Reads which server a TLS client asks for, before anything is decided.

Source: RFC 8446 4.1.2, RFC 6066 3.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

MAX_HELLO_BYTES = 64 * 1024
_HANDSHAKE = 22
_CLIENT_HELLO = 1
_SERVER_NAME = 0
_ENCRYPTED_CLIENT_HELLO = 0xFE0D


class NotTls(Exception):
    """What came is no ClientHello."""


@dataclass(frozen=True, slots=True)
class ClientHello:
    """server_name: lower case, None when the client names none. encrypted: whether another name is hidden."""

    server_name: str | None
    encrypted: bool


def parse(data: bytes) -> ClientHello | None:
    """The ClientHello at the beginning of the data, None while it is not whole. Raises: NotTls."""
    message = b""
    while data:
        if data[0] != _HANDSHAKE or data[1:2] not in {b"", b"\x03"}:
            raise NotTls
        if len(data) < 5:
            return None
        length = int.from_bytes(data[3:5], "big")
        message, data = message + data[5 : 5 + length], data[5 + length :]
        if message and message[0] != _CLIENT_HELLO:
            raise NotTls
        if len(message) >= 4 and len(message) >= (size := 4 + int.from_bytes(message[1:4], "big")):
            return _hello(message[4:size])
    if len(message) > MAX_HELLO_BYTES:
        raise NotTls
    return None


def _hello(body: bytes) -> ClientHello:
    try:
        return _read(body)
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise NotTls from error


def _read(body: bytes) -> ClientHello:
    at = 34  # version and random
    at += 1 + body[at]  # session id
    at += 2 + struct.unpack_from(">H", body, at)[0]  # cipher suites
    at += 1 + body[at]  # compression
    name: str | None = None
    encrypted = False
    if at == len(body):
        return ClientHello(name, encrypted)
    end = at + 2 + struct.unpack_from(">H", body, at)[0]
    at += 2
    while at < end:
        kind, length = struct.unpack_from(">HH", body, at)
        value, at = body[at + 4 : at + 4 + length], at + 4 + length
        if kind == _SERVER_NAME:
            size = struct.unpack_from(">H", value, 3)[0]
            name = value[5 : 5 + size].decode("ascii").lower()
        encrypted = encrypted or kind == _ENCRYPTED_CLIENT_HELLO
    return ClientHello(name, encrypted)
