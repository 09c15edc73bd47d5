"""A box with a door: what it sees of it, what its programs are told, and a door that comes later."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
import pytest_asyncio

from sandbox.environments.protocol import Sandbox
from tests.sandbox.environments.boxes import Bench, call_id, run

pytestmark = pytest.mark.asyncio(loop_scope="module")

VARIABLES = "https_proxy HTTPS_PROXY http_proxy HTTP_PROXY"
AUTHORITIES = "SSL_CERT_FILE PIP_CERT CURL_CA_BUNDLE GIT_SSL_CAINFO NODE_EXTRA_CA_CERTS npm_config_cafile"


def make_door(directory: Path) -> Path:
    """A door's directory as the broker makes it, with a secret in it."""
    (directory / "secrets").mkdir(parents=True)
    (directory / "authority.pem").write_text("the authority\n")
    (directory / "secrets" / "TOKEN").write_text("for the tests of the box alone")
    return directory


@asynccontextmanager
async def broker(door: Path) -> AsyncIterator[None]:
    """A server behind the door that answers every request with its first line."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = (await reader.readuntil(b"\r\n\r\n")).splitlines()[0]
        head = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(asked)
        writer.write(head + asked)
        await writer.drain()
        writer.close()

    socket = door / "door.sock"
    with suppress(FileNotFoundError):
        await asyncio.to_thread(socket.unlink)
    server = await asyncio.start_unix_server(answer, socket)
    await asyncio.to_thread(socket.chmod, 0o666)
    async with server:
        yield


@pytest.fixture(scope="module")
def door(bench: Bench) -> Path:
    return make_door(bench.directory / "doors" / "shared")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def guest(bench: Bench, door: Path) -> AsyncIterator[Sandbox]:
    """A box with that door, for tests that leave it as they found it."""
    async with bench.box(bench.spec(door=door)) as sandbox:
        yield sandbox


async def test_a_request_goes_to_the_door_s_socket(guest: Sandbox, door: Path) -> None:
    async with broker(door):
        done = await run(guest, "curl -sS http://example.org/a")
        assert (done.exit_code, done.output) == (0, "GET http://example.org/a HTTP/1.1")


async def test_a_command_in_the_background_goes_there_too(guest: Sandbox, door: Path) -> None:
    async with broker(door):
        await guest.runner.background_start(call_id(), "curl -sS http://example.org/b > b; touch done-b")
        await run(guest, "until [ -e done-b ]; do sleep 0.02; done")
        assert (await guest.runner.read_file("b")).text == "GET http://example.org/b HTTP/1.1"


async def test_a_broker_that_starts_again_is_found_through_the_same_directory(
    guest: Sandbox, door: Path
) -> None:
    for _ in range(2):
        async with broker(door):
            assert (await run(guest, "curl -sS http://example.org/")).output.startswith("GET ")
        away = await run(guest, "curl -sS -w '%{http_code}' http://example.org/")
        assert "broker is away" in away.output
        assert away.output.endswith("503")


async def test_every_program_is_told_of_the_door_and_its_authority(guest: Sandbox) -> None:
    done = await run(guest, f"for name in {VARIABLES}; do printenv $name; done")
    assert set(done.output.split()) == {"http://127.0.0.1:3128"}
    done = await run(guest, f"for name in {AUTHORITIES}; do printenv $name; done | sort -u | xargs cat")
    assert done.output == "the authority\n"
    done = await run(guest, "printenv no_proxy NO_PROXY GIT_TERMINAL_PROMPT GREETING")
    assert done.output.split() == ["localhost,127.0.0.1,::1"] * 2 + ["0", "hello"]


async def test_a_server_in_the_box_is_reached_without_the_door(guest: Sandbox) -> None:
    script = (
        "echo inside > page; python3 -m http.server 8123 --bind 127.0.0.1 >served 2>&1 &"
        " until curl -sS http://localhost:8123/page 2>/dev/null; do sleep 0.05; done; kill %1"
    )
    assert (await run(guest, script)).output == "inside\n"


async def test_a_secret_for_the_box_can_be_read(guest: Sandbox) -> None:
    done = await run(guest, "cat /run/bellhop-door/secrets/TOKEN")
    assert done.output == "for the tests of the box alone"


async def test_the_door_cannot_be_written_to(guest: Sandbox, door: Path) -> None:
    attempts = "touch x; echo y >> authority.pem; rm -f authority.pem; rm -f door.sock"
    async with broker(door):
        done = await run(guest, f"cd /run/bellhop-door; {attempts}; ls")
    assert {"authority.pem", "door.sock"} <= set(done.output.split())
    assert done.output.count("Read-only file system") >= 3


async def test_nobody_in_the_box_can_take_the_port(guest: Sandbox) -> None:
    take = "import socket; socket.create_server(('127.0.0.1', 3128), reuse_port=True)"
    done = await run(guest, f'python3 -c "{take}"')
    assert done.exit_code == 1
    assert "Address already in use" in done.output


async def test_a_box_without_a_door_has_no_way_out_and_no_word_of_one(bench: Bench) -> None:
    async with bench.box() as box:
        done = await run(
            box, "printenv https_proxy HTTPS_PROXY SSL_CERT_FILE APT_CONFIG; ls /run/bellhop-door"
        )
        assert "bellhop-door" in done.output
        assert len(done.output.splitlines()) == 1
        assert (await run(box, "exec 3<>/dev/tcp/127.0.0.1/3128")).exit_code == 1


async def test_a_box_that_is_opened_without_mention_of_its_door_keeps_it(bench: Bench, door: Path) -> None:
    spec = bench.spec(door=door)
    plain = bench.spec(name=spec.name)
    async with bench.box(spec) as box, broker(door):
        async with await bench.environment.open(plain) as adopted:
            assert adopted.origin == "adopted"
        await box.stop()
        async with await bench.environment.open(plain) as again:
            assert again.origin == "restarted"
            assert (await run(again, "curl -sS http://example.org/")).output.startswith("GET ")


async def test_a_box_that_is_given_a_door_later_has_it_and_its_files(bench: Bench, door: Path) -> None:
    plain = bench.spec()
    spec = bench.spec(name=plain.name, door=door)
    once, done_id = "echo work >> kept; echo home > ~/kept", call_id()
    async with bench.box(plain) as box, broker(door):
        await box.runner.exec(done_id, once, timeout_seconds=60)
        async with await bench.environment.open(spec) as moved:
            assert moved.origin == "restarted"
            assert (await run(moved, "cat kept ~/kept")).output == "work\nhome\n"
            assert (await moved.runner.exec(done_id, once, timeout_seconds=60)).replayed
            assert (await run(moved, "curl -sS http://example.org/")).output.startswith("GET ")
        async with await bench.environment.open(spec) as adopted:
            assert adopted.origin == "adopted"
        assert [info.name for info in await bench.environment.list()].count(spec.name) == 1
    assert spec.name not in [info.name for info in await bench.environment.list()]


async def test_a_stopped_box_that_is_given_another_door_has_that_one(bench: Bench, door: Path) -> None:
    other = make_door(bench.directory / "doors" / "other")
    spec = bench.spec(door=other)
    async with bench.box(spec) as box, broker(door):
        await box.runner.write_file(call_id(), "kept", "work")
        await box.stop()
        async with await bench.environment.open(bench.spec(name=spec.name, door=door)) as moved:
            assert (await moved.runner.read_file("kept")).text == "work"
            assert (await run(moved, "curl -sS http://example.org/")).output.startswith("GET ")
