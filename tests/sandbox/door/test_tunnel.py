"""Bytes go unread only where a rule says so, and only to the host that was asked for."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading

import pytest

from session.people import Person
from session.policy import EgressEntry, EgressRule
from tests.sandbox.door.stage import BOX, HOST, stage
from tests.sandbox.door.tunnelling import opened, through_tls
from tests.sandbox.door.upstream import Reply


def unread(port: int) -> list[EgressEntry]:
    return [EgressRule(host=HOST, port=port, tunnel=True)]


async def test_tls_goes_through_unread_to_the_server_itself() -> None:
    async with stage(unread) as s:
        answer = await asyncio.to_thread(through_tls, s, HOST, HOST, s.upstream.trusted)
        assert answer.endswith("fine")
        (row,) = await s.audited()
        assert (row.entry.outcome, row.entry.detail["method"]) == ("allowed", "CONNECT")
        assert await s.read_from() == [HOST]


@pytest.mark.parametrize("name", ["evil.example.com", None])
async def test_another_name_inside_is_cut_off(name: str | None) -> None:
    async with stage(unread) as s:
        with pytest.raises(OSError, match=r"EOF|reset|closed"):
            await asyncio.to_thread(through_tls, s, HOST, name)
        assert s.upstream.got == []
        assert "asks for" in s.doors.refusals(BOX, 0)[0].reason


async def test_what_is_no_tls_is_cut_off() -> None:
    async with stage(unread, tls=False) as s:

        def plain() -> bytes:
            with opened(s, HOST, s.upstream.port) as connection:
                connection.sendall(f"GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
                return connection.recv(100)

        assert await asyncio.to_thread(plain) == b""
        assert s.upstream.got == []


async def test_a_host_with_another_rule_is_read_all_the_same() -> None:
    async with stage(lambda port: [*unread(port), EgressRule(host=HOST, port=port, paths=("/v1/*",))]) as s:
        answer = await s.ask("GET", "/v2")
        assert answer.status_code == 403


async def test_once_strangers_were_read_a_tunnel_needs_a_yes() -> None:
    async with stage(unread) as s:
        assert await asyncio.to_thread(through_tls, s, HOST, HOST, s.upstream.trusted)
        with pytest.raises(ConnectionRefusedError, match="403"):
            await asyncio.to_thread(through_tls, s, HOST, HOST, s.upstream.trusted)
        await s.allow(f"CONNECT {HOST}:{s.upstream.port}")
        assert await asyncio.to_thread(through_tls, s, HOST, HOST, s.upstream.trusted)


async def test_a_tunnel_ends_where_its_rule_says() -> None:
    async with stage(lambda port: [EgressRule(host=HOST, port=port, tunnel=True, max_bytes=50_000)]) as s:
        s.upstream.reply = lambda got: Reply(body=b"x" * 500_000)
        assert len(await asyncio.to_thread(through_tls, s, HOST, HOST, s.upstream.trusted)) <= 50_000


async def test_a_tunnel_is_cut_off_when_all_work_is_stopped() -> None:
    async with stage(unread) as s:

        def ask_until_cut(started: threading.Event) -> int:
            raw = opened(s, HOST, s.upstream.port)
            with raw, s.upstream.trusted.wrap_socket(raw, server_hostname=HOST) as tls:
                answers = 0
                with contextlib.suppress(ConnectionError, ssl.SSLEOFError):
                    while True:
                        tls.sendall(f"GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
                        if not tls.recv(65536):
                            break
                        answers += 1
                        started.set()
                return answers

        started = threading.Event()
        asking = asyncio.create_task(asyncio.to_thread(ask_until_cut, started))
        assert await asyncio.to_thread(started.wait, 60)
        await s.switch.engage(Person(id="p_eve", name="Eve"), "an incident")
        async with asyncio.timeout(60):
            assert await asking > 0


async def test_a_silent_tunnel_is_cut_off() -> None:
    async with stage(unread, idle_seconds=0.2) as s:

        def silent() -> bytes:
            while True:
                try:
                    connection = opened(s, HOST, s.upstream.port)
                except ConnectionRefusedError as error:
                    if str(error):
                        raise
                    continue  # on a machine that stands still it was silent for too long before it asked
                with connection:
                    return connection.recv(100)

        assert await asyncio.to_thread(silent) == b""
