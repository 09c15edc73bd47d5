"""The name in a ClientHello is read from whatever pieces it comes in, and garbage is told from it."""

from __future__ import annotations

import ssl
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.broker.door.client_hello import ClientHello, NotTls, parse
from sandbox.broker.door.targets import Endpoint
from sandbox.broker.door.tunnel import hello_refusal

ENDPOINT = Endpoint("https", "api.example.com", 443)


def hello(name: str | None) -> bytes:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    return outgoing.read()


def made(*extensions: tuple[int, bytes], piece: int = 65536) -> bytes:
    """A ClientHello with those extensions, in records of so many bytes."""
    listed = b"".join(struct.pack(">HH", kind, len(value)) + value for kind, value in extensions)
    body = b"\x03\x03" + bytes(32) + b"\x00" + b"\x00\x02\x13\x01" + b"\x01\x00"
    body += struct.pack(">H", len(listed)) + listed
    message = b"\x01" + len(body).to_bytes(3, "big") + body
    pieces = [message[at : at + piece] for at in range(0, len(message), piece)]
    return b"".join(b"\x16\x03\x01" + struct.pack(">H", len(each)) + each for each in pieces)


def server_name(name: bytes) -> tuple[int, bytes]:
    return 0, struct.pack(">HBH", len(name) + 3, 0, len(name)) + name


@pytest.mark.parametrize("name", ["api.example.com", None])
def test_what_a_real_client_asks_for_is_read(name: str | None) -> None:
    data = hello(name)
    assert parse(data) == ClientHello(name, encrypted=False)
    assert [parse(data[:size]) for size in range(0, len(data), 7)] == [None] * len(range(0, len(data), 7))


def test_a_hello_in_many_records_is_read() -> None:
    data = made(server_name(b"API.example.com"), piece=3)
    assert parse(data) == ClientHello("api.example.com", encrypted=False)


def test_a_hidden_name_is_noticed_and_refused() -> None:
    found = parse(made(server_name(b"api.example.com"), (0xFE0D, b"\0" * 20)))
    assert found == ClientHello("api.example.com", encrypted=True)
    assert "hides" in (hello_refusal(found, ENDPOINT) or "")


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\n", b"\x16\x02\x00", b"\x17\x03\x03\x00\x05hello"])
def test_what_is_no_hello_is_said(data: bytes) -> None:
    with pytest.raises(NotTls):
        parse(data)


@given(st.binary(max_size=200))
def test_garbage_is_never_more_than_no_hello(data: bytes) -> None:
    for each in (data, b"\x16\x03\x01" + data, made((0, data))):
        try:
            parse(each)
        except NotTls:
            continue
