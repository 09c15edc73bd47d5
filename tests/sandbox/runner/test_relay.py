"""The way out of the box: what goes in at the port comes out of the door's socket, and back."""

from __future__ import annotations

import asyncio
import hashlib
import os
import socket
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from sandbox.broker.door.door import MAX_CONNECTIONS as DOOR_CONNECTIONS
from sandbox.runner.relay import MOST_CALLERS, MOST_CONNECTIONS, WAIT_SECONDS, CannotListen, Relay
from tests.sandbox.runner.conftest import Place

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
MIB = 1024 * 1024


@pytest.fixture
def door(tmp_path: Path) -> Path:
    return tmp_path / "door.sock"


@asynccontextmanager
async def relaying(door: Path, wait_seconds: float = WAIT_SECONDS) -> AsyncIterator[int]:
    """Where a relay to `door` listens."""
    relay = Relay(0, str(door), wait_seconds)
    taken = relay.start()
    task = asyncio.create_task(relay.serve())
    yield taken
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    relay.stop()


@pytest.fixture
async def port(door: Path) -> AsyncIterator[int]:
    async with relaying(door) as taken:
        yield taken


@asynccontextmanager
async def behind(door: Path, handler: Handler) -> AsyncIterator[None]:
    """A server on the door's socket; every connection goes to `handler` and is closed after it."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await handler(reader, writer)
        finally:
            writer.close()

    with suppress(FileNotFoundError):
        os.unlink(door)
    server = await asyncio.start_unix_server(serve, door)
    async with server:
        yield


@asynccontextmanager
async def caller(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()


async def test_bytes_go_both_ways(port: int, door: Path) -> None:
    async with behind(door, echo), caller(port) as (reader, writer):
        for word in (b"one", b"two"):
            writer.write(word)
            assert await reader.readexactly(3) == word


async def test_one_direction_can_end_before_the_other(port: int, door: Path) -> None:
    async def answer_at_the_end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        digest = hashlib.sha256(await reader.read()).hexdigest()
        writer.write(digest.encode())
        await writer.drain()

    content = os.urandom(8 * MIB)
    async with behind(door, answer_at_the_end), caller(port) as (reader, writer):
        writer.write(content)
        writer.write_eof()
        assert await reader.read() == hashlib.sha256(content).hexdigest().encode()


async def test_a_door_that_ends_first_is_heard_to_end(port: int, door: Path) -> None:
    async def part(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"good bye")
        await writer.drain()

    async with behind(door, part), caller(port) as (reader, _):
        assert await reader.read() == b"good bye"


async def test_a_caller_that_goes_is_heard_of_at_the_door(port: int, door: Path) -> None:
    gone = asyncio.Event()

    async def wait(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()
        gone.set()

    async with behind(door, wait):
        async with caller(port):
            pass
        async with asyncio.timeout(60):
            await gone.wait()


async def test_a_door_that_does_not_read_holds_its_caller_up(port: int, door: Path) -> None:
    go, total = asyncio.Event(), 0

    async def slow(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        nonlocal total
        await go.wait()
        while data := await reader.read(65536):
            total += len(data)

    size = 64 * MIB
    async with behind(door, slow), caller(port) as (reader, writer):
        writer.write(bytes(size))
        writer.write_eof()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(writer.drain(), 0.5)
        # What waits is still with the caller: the relay and the kernel took a small part.
        assert writer.transport.get_write_buffer_size() > size // 2
        go.set()
        assert await reader.read() == b""
    assert total == size


async def test_many_callers_wait_for_their_turn_and_never_crowd_the_door(port: int, door: Path) -> None:
    most = here = 0

    async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal most, here
        here += 1
        most = max(most, here)
        await echo(reader, writer)
        here -= 1

    async def one(number: int) -> None:
        async with caller(port) as (reader, writer):
            content = str(number).encode() * 1000
            writer.write(content)
            writer.write_eof()
            assert await reader.read() == content

    async with behind(door, count):
        await asyncio.gather(*(one(number) for number in range(MOST_CALLERS + 100)))
    assert 0 < most <= MOST_CONNECTIONS <= DOOR_CONNECTIONS


async def test_who_has_waited_too_long_is_told_so_and_the_others_go_on(door: Path) -> None:
    async with behind(door, echo), relaying(door, wait_seconds=0.2) as port:
        first = [await asyncio.open_connection("127.0.0.1", port) for _ in range(MOST_CONNECTIONS)]
        for reader, writer in first:
            writer.write(b"here")
            assert await reader.readexactly(4) == b"here"
        async with caller(port) as (reader, _):
            assert (await reader.read()).startswith(b"HTTP/1.1 503 ")
        first[0][1].write(b"still")
        assert await first[0][0].readexactly(5) == b"still"
        for _, writer in first:
            writer.close()


async def test_without_a_broker_the_caller_gets_a_sentence(port: int) -> None:
    async with caller(port) as (reader, writer):
        # More than the relay ever reads at once: it must not cut the answer off with a reset.
        writer.write(b"CONNECT example.org:443 HTTP/1.1\r\n\r\n" + bytes(4 * MIB))
        writer.write_eof()
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0] == "HTTP/1.1 503 Service Unavailable"
    assert f"Content-Length: {len(body)}" in lines
    assert "broker is away" in body.decode()


async def test_a_broker_that_comes_back_is_found(port: int, door: Path) -> None:
    for _ in range(2):
        async with behind(door, echo), caller(port) as (reader, writer):
            writer.write(b"there?")
            assert await reader.readexactly(6) == b"there?"
        async with caller(port) as (reader, _):
            assert (await reader.read()).startswith(b"HTTP/1.1 503 ")


async def test_a_door_whose_queue_is_full_is_waited_for(port: int, door: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(door))
        listener.listen(0)
        held = socket.socket(socket.AF_UNIX)
        held.connect(str(door))
        async with caller(port) as (reader, writer):
            writer.write(b"patience")
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(reader.read(1), 0.3)
            listener.accept()[0].close()
            listener.setblocking(False)
            loop = asyncio.get_running_loop()
            accepted, _ = await asyncio.wait_for(loop.sock_accept(listener), 60)
            assert await loop.sock_recv(accepted, 100) == b"patience"
            accepted.close()
        held.close()


async def test_a_port_that_is_taken_is_said(door: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        with pytest.raises(CannotListen, match=rf"needs 127\.0\.0\.1:{number}, which cannot be had: Address"):
            Relay(number, str(door)).start()


async def test_a_runner_does_not_start_without_its_port(place: Place) -> None:
    place.workspace.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        command = place.command("--door", "/nowhere/door.sock", "--door-port", str(number))
        process = await asyncio.create_subprocess_exec(*command, stderr=subprocess.PIPE)
        _, said = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 1
    assert said.decode().startswith("The runner does not start: the way out of the box needs 127.0.0.1:")
    assert not place.socket.exists()
