"""What an allowed request needs: bodies of every kind both ways, connections that last, errors in words."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from session.policy import EgressRule
from tests.sandbox.door.stage import HOST, stage
from tests.sandbox.door.upstream import Got, Reply

ALL = ("GET", "HEAD", "POST", "PUT", "DELETE")


def writing(port: int) -> list[EgressRule]:
    return [EgressRule(host=HOST, port=port, methods=ALL)]


async def test_a_request_that_a_rule_allows_is_answered_by_its_server() -> None:
    async with stage() as s:
        answer = await s.ask("GET", "/v1/things?page=2")
        assert (answer.status_code, answer.text) == (200, "fine")
        assert s.upstream.got[0].target == "/v1/things?page=2"
        assert s.upstream.got[0].headers["host"] == f"{HOST}:{s.upstream.port}"


async def test_plain_http_is_asked_with_whole_addresses() -> None:
    async with stage(tls=False) as s:
        answer = await s.ask("GET", "/v1/things?page=2", scheme="http")
        assert (answer.status_code, answer.text) == (200, "fine")
        assert s.upstream.got[0].target == "/v1/things?page=2"


async def test_one_connection_serves_many_requests_at_both_ends() -> None:
    async with stage() as s, s.client() as client:
        for number in range(5):
            assert (await client.get(s.url(f"/{number}"))).status_code == 200
        assert [got.target for got in s.upstream.got] == [f"/{number}" for number in range(5)]
        assert s.upstream.connections == 1


@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_a_body_of_known_length_goes_out(method: str) -> None:
    async with stage(writing) as s:
        answer = await s.ask(method, "/", content=b"x" * 300_000)
        assert answer.status_code == 200
        assert s.upstream.got[0].body == b"x" * 300_000
        assert s.upstream.got[0].headers["content-length"] == "300000"


async def test_a_body_of_unknown_length_goes_out_in_chunks() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b"y" * 10_000

    async with stage(writing) as s:
        answer = await s.ask("POST", "/", content=pieces())
        assert answer.status_code == 200
        assert s.upstream.got[0].body == b"y" * 200_000
        assert s.upstream.got[0].headers["transfer-encoding"] == "chunked"


async def test_an_empty_body_is_no_hindrance() -> None:
    async with stage(writing, public=True) as s, s.client() as client:
        assert (await client.post(s.url())).status_code == 200
        assert (await client.post(s.url())).status_code == 200
        assert s.upstream.connections == 1


async def test_an_answer_in_chunks_comes_back_whole() -> None:
    async with stage() as s:
        s.upstream.reply = lambda got: Reply(pieces=(b"a" * 70_000, b"b", b"c" * 200_000))
        assert (await s.ask()).content == b"a" * 70_000 + b"b" + b"c" * 200_000


async def test_answers_without_a_body_stay_without() -> None:
    async with stage() as s, s.client() as client:
        s.upstream.reply = lambda got: Reply(status={"/204": 204, "/304": 304}.get(got.target, 200))
        head = await client.head(s.url("/"))
        assert (head.status_code, head.headers["content-length"], head.content) == (200, "4", b"")
        assert (await client.get(s.url("/204"))).status_code == 204
        assert (await client.get(s.url("/304"))).status_code == 304
        assert (await client.get(s.url("/"))).text == "fine"
        assert s.upstream.connections == 1


async def test_a_client_that_waits_for_continue_is_told_to_go_on() -> None:
    async with stage(writing, tls=False) as s:
        reader, writer = await asyncio.open_connection("127.0.0.1", s.proxy_port)
        writer.write(
            f"POST {s.url('/up', scheme='http')} HTTP/1.1\r\nHost: {HOST}:{s.upstream.port}\r\n"
            "Content-Length: 5\r\nExpect: 100-continue\r\n\r\n".encode()
        )
        assert (await reader.readline()).startswith(b"HTTP/1.1 100")
        await reader.readuntil(b"\r\n")
        writer.write(b"hello")
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        assert s.upstream.got[0].body == b"hello"
        assert "expect" not in s.upstream.got[0].headers
        writer.close()


async def test_a_refused_client_that_waits_for_continue_is_not_told_to_go_on() -> None:
    async with stage(tls=False) as s:
        reader, writer = await asyncio.open_connection("127.0.0.1", s.proxy_port)
        writer.write(
            f"POST {s.url('/up', scheme='http')} HTTP/1.1\r\nHost: {HOST}:{s.upstream.port}\r\n"
            "Content-Length: 5\r\nExpect: 100-continue\r\n\r\n".encode()
        )
        assert (await reader.readline()).startswith(b"HTTP/1.1 403")
        writer.close()


async def test_an_answer_that_comes_before_the_body_is_whole_is_passed_on() -> None:
    def early(got: Got) -> Reply:
        return Reply(status=413, body=b"too much", early=True)

    async def upload() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b"z" * 50_000

    async with stage(writing) as s:
        s.upstream.reply, s.upstream.lingers = early, True
        answer = await s.ask("POST", "/", content=upload())
        assert (answer.status_code, answer.text) == (413, "too much")


async def test_a_server_that_cannot_be_reached_is_a_sentence() -> None:
    async with stage(lambda port: [EgressRule(host=HOST, port=1)]) as s, s.client() as client:
        answer = await client.get(f"https://{HOST}:1/")
        assert answer.status_code == 502
        assert answer.text.startswith(f"{HOST}:1 cannot be reached: ")


async def test_a_server_whose_certificate_is_not_its_own_is_a_sentence() -> None:
    name = "api.example.org"
    async with stage(lambda port: [EgressRule(host=name, port=port)]) as s:
        answer = await s.ask(host=name)
        assert answer.status_code == 502
        assert "cannot be trusted" in answer.text
        assert s.upstream.got == []


async def test_a_server_that_breaks_off_breaks_off_for_the_box_too() -> None:
    async with stage() as s:
        s.upstream.reply = lambda got: Reply(headers=(("Content-Length", "100"),), body=b"short")
        with pytest.raises(httpx.RemoteProtocolError):
            await s.ask()


async def test_a_connection_that_the_server_closed_meanwhile_is_made_anew() -> None:
    async with stage() as s, s.client() as client:
        s.upstream.reply = lambda got: Reply(headers=(("Connection", "close"),))
        assert (await client.get(s.url())).status_code == 200
        assert (await client.get(s.url())).status_code == 200
        assert s.upstream.connections == 2


async def test_http_1_0_is_spoken_too() -> None:
    async with stage(tls=False) as s:
        reader, writer = await asyncio.open_connection("127.0.0.1", s.proxy_port)
        writer.write(f"GET {s.url('/', scheme='http')} HTTP/1.0\r\n\r\n".encode())
        assert (await reader.read()).endswith(b"\r\n\r\nfine")
        writer.close()
