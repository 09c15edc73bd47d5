"""Doors open with a box, come back with the broker, and hold nothing a box should not see."""

from __future__ import annotations

import asyncio
import gc
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest

from sandbox.broker.door.doors import Doors
from sandbox.broker.door.handlers import GitAnswer, GitRequest
from sandbox.broker.door.streams import ASKED_CLOSE_SECONDS
from session.catalogue import Approvals
from tests.sandbox.door.stage import BOX, HOST, SESSION, MemorySecrets, stage
from tests.sandbox.door.tunnelling import through_tls
from tests.sandbox.door.upstream import Reply

GIT = "https://git.example.com/acme/billing.git"


class Git:
    """Serves one repository by saying what it was asked."""

    def __init__(self) -> None:
        self.got: list[GitRequest] = []

    def serves(self, session_id: str, url: str) -> bool:
        return session_id == SESSION and url.startswith(GIT)

    async def handle(self, request: GitRequest) -> GitAnswer:
        self.got.append(request)
        body = b"".join([piece async for piece in request.body])

        async def answer() -> AsyncIterator[bytes]:
            yield b"got "
            yield body

        return GitAnswer(200, [("Content-Type", "application/x-git")], answer())


async def test_the_mounted_directory_holds_no_key() -> None:
    async with stage(secrets={"DB": "hunter2hunter2"}, box_secrets=("DB", "MISSING")) as s:
        names = {str(path.relative_to(s.directory)) for path in s.directory.rglob("*")}
        assert names == {"authority.pem", "door.sock", "secrets", "secrets/DB"}
        assert (s.directory / "secrets" / "DB").read_text() == "hunter2hunter2"
        assert "PRIVATE" not in (s.directory / "authority.pem").read_text()
        modes = {path: oct(path.stat().st_mode & 0o777) for path in (s.directory, s.directory.parent)}
        assert modes == {s.directory: "0o755", s.directory.parent: "0o711"}
        assert (s.directory.parent / f"{BOX}.json").stat().st_mode & 0o777 == 0o600
        assert (s.directory / "door.sock").stat().st_mode & 0o777 == 0o666


async def test_opening_again_keeps_the_authority_and_the_first_hosts_and_renews_the_secrets() -> None:
    async with stage(secrets={"DB": "first"}, box_secrets=("DB",)) as s:
        before = (s.directory / "authority.pem").read_text()
        assert isinstance(s.parts.secrets, MemorySecrets)
        s.parts.secrets.values["DB"] = "second"
        assert await s.doors.open(SESSION, BOX, {"python": ("evil.example.com",)}) == s.directory
        assert (s.directory / "authority.pem").read_text() == before
        assert (s.directory / "secrets" / "DB").read_text() == "second"
        assert "evil" not in (s.directory.parent / f"{BOX}.json").read_text()
        del s.parts.secrets.values["DB"]
        await s.doors.open(SESSION, BOX, {})
        assert not (s.directory / "secrets" / "DB").exists()


async def test_a_restarted_broker_serves_the_same_doors_again() -> None:
    async with stage(secrets={"DB": "first"}, box_secrets=("DB",)) as s:
        before, inode = (s.directory / "authority.pem").read_text(), s.directory.stat().st_ino
        await s.doors.aclose()
        again = Doors(s.home / "doors", s.parts)
        try:
            await again.restore()
            assert (await s.ask()).status_code == 200
            assert (s.directory / "authority.pem").read_text() == before
            assert s.directory.stat().st_ino == inode
            assert (s.directory / "secrets" / "DB").read_text() == "first"
        finally:
            await again.aclose()


async def test_refusals_after_a_restart_are_numbered_on() -> None:
    async with stage() as s:
        await s.ask(host="evil.example.com")
        (before,) = s.doors.refusals(BOX, 0)
        await s.doors.aclose()
        again = Doors(s.home / "doors", s.parts)
        try:
            await again.restore()
            await s.ask(host="evil.example.com")
            assert [each.path for each in again.refusals(BOX, before.number)] == ["/"]
        finally:
            await again.aclose()


async def test_one_broken_door_does_not_keep_the_others_shut() -> None:
    async with stage() as s:
        await s.doors.aclose()
        (s.home / "doors" / "a.json").write_text("{}")
        good = (s.home / "doors" / f"{BOX}.json").read_text()
        broken = good.replace(BOX, "b").replace("PRIVATE KEY", "NO KEY")
        (s.home / "doors" / "b.json").write_text(broken)
        again = Doors(s.home / "doors", s.parts)
        try:
            await again.restore()
            assert (await s.ask()).status_code == 200
        finally:
            await again.aclose()


async def test_a_closed_door_is_gone() -> None:
    async with stage() as s:
        await s.doors.close(BOX)
        await s.doors.close(BOX)
        assert list((s.home / "doors").iterdir()) == []
        assert s.doors.refusals(BOX, 0) == []


async def test_a_box_that_reads_nothing_does_not_hold_up_the_end_of_its_door() -> None:
    async with stage(tls=False) as s:
        s.upstream.reply = lambda got: Reply(body=b"x" * 20_000_000)
        reader, writer = await asyncio.open_unix_connection(str(s.directory / "door.sock"))
        host = f"{HOST}:{s.upstream.port}"
        writer.write(f"GET http://{host}/ HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        async with asyncio.timeout(ASKED_CLOSE_SECONDS / 2):
            await s.doors.close(BOX)
        writer.close()


async def test_every_session_has_an_authority_of_its_own() -> None:
    async with stage() as s:
        other = await s.doors.open(SESSION, "bellhop-s1-verify", {})
        trust = ssl.create_default_context(cafile=str(other / "authority.pem"))
        assert trust.get_ca_certs()[0]["serialNumber"] != s.trust.get_ca_certs()[0]["serialNumber"]


async def test_a_strict_client_accepts_the_certificates() -> None:
    async with stage() as s:
        strict = s.trust
        strict.verify_flags |= ssl.VERIFY_X509_STRICT
        answer = await asyncio.to_thread(through_tls, s, HOST, HOST, strict)
        assert answer.endswith("fine")


async def test_a_box_of_another_session_gets_a_door_of_its_own() -> None:
    async with stage() as s:
        before = (s.directory / "authority.pem").read_text()
        await s.log.create("s2", [each.event for each in await s.log.read(SESSION)])
        assert await s.doors.open("s2", BOX, {}) == s.directory
        assert (s.directory / "authority.pem").read_text() != before


async def test_a_door_below_a_very_long_path_opens(tmp_path: Path) -> None:
    async with stage() as s:
        deep = tmp_path / ("a" * 100) / ("b" * 100)
        doors = Doors(deep, s.parts)
        try:
            assert (await doors.open(SESSION, BOX, {}) / "door.sock").is_socket()
        finally:
            await doors.aclose()


@pytest.mark.parametrize("box", ["", "../x", "a/b", ".hidden", "x.json"])
async def test_a_box_has_a_plain_name(box: str) -> None:
    async with stage() as s:
        with pytest.raises(ValueError, match="no name of a box"):
            await s.doors.open(SESSION, box, {})


async def test_git_is_answered_in_the_house() -> None:
    git = Git()
    async with stage(lambda port: ["forge"], git=git) as s, s.client() as client:
        answer = await client.post(
            f"{GIT}/git-upload-pack?a=b", content=b"want", headers={"Authorization": "Basic eA==", "X-A": "1"}
        )
        assert (answer.status_code, answer.text) == (200, "got want")
        asked = git.got[0]
        assert (asked.method, asked.path, asked.query) == ("POST", "/acme/billing.git/git-upload-pack", "a=b")
        assert asked.headers["x-a"] == "1"
        assert "authorization" not in asked.headers
        assert (s.resolved, await s.read_from()) == ([], [])
        assert (await s.audited())[0].entry.detail["why"] == "git"


async def test_git_is_let_go_of_when_the_box_is_gone() -> None:
    closed = asyncio.Event()

    class Endless(Git):
        async def handle(self, request: GitRequest) -> GitAnswer:
            async def answer() -> AsyncIterator[bytes]:
                try:
                    while True:
                        yield b"x" * 65536
                finally:
                    closed.set()

            return GitAnswer(200, [], answer())

    async with stage(lambda port: ["forge"], git=Endless()) as s, s.client() as client:
        async with client.stream("GET", f"{GIT}/info/refs") as answer:
            assert answer.status_code == 200
        await asyncio.wait_for(closed.wait(), 60)


async def test_git_needs_the_preset_and_its_own_repository() -> None:
    async with stage(lambda port: [], git=Git(), approvals=Approvals()) as s, s.client() as client:
        assert (await client.get(f"{GIT}/info/refs")).status_code == 403
    async with stage(lambda port: ["forge"], git=Git()) as s, s.client() as client:
        assert (await client.get("https://git.example.com/acme/other.git/info/refs")).status_code == 403


async def test_who_comes_while_a_door_is_shut_is_cut_off_at_whatever_step() -> None:
    async with stage() as s:
        address = s.directory / "door.sock"
        for steps in range(8):
            with socket.socket(socket.AF_UNIX) as box:
                box.connect(str(address))
                for _ in range(steps):
                    await asyncio.sleep(0)
                await s.doors.aclose()
                # Nobody holds the connection any more: a lost one would be closed, and told of, now.
                box.settimeout(10)
                with suppress(ConnectionResetError):
                    assert await asyncio.to_thread(box.recv, 1) == b""
            gc.collect()
            assert not address.exists()
            await s.doors.restore()
        # A broker that ends late leaves the doors to the one that has opened them again.
        again = Doors(s.directory.parent, s.parts)
        await again.restore()
        await s.doors.aclose()
        assert address.exists()
        await again.aclose()
