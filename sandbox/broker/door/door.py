"""One box's door: a socket in a directory of its own, and everything that comes through it."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import structlog

from sandbox.broker.door.authority import Authority
from sandbox.broker.door.box_side import BoxSide
from sandbox.broker.door.connection import serve
from sandbox.broker.door.gate import UNAVAILABLE, Gate
from sandbox.broker.door.parts import DoorParts
from sandbox.broker.door.streams import PIECE_BYTES, Activity, Gone, PlainStream
from sandbox.environments.protocol import DOOR_AUTHORITY, DOOR_SECRETS, DOOR_SOCKET
from session.people import Declared

log = structlog.get_logger()

MAX_CONNECTIONS = 64
BACKLOG = 128
MEETING_STEPS = 8
"""So many steps of the loop, at the most, lie between a connection that is made and its being met."""


class DoorRecord(Declared):
    """What the broker must know to serve the door again after a restart; kept where no box sees it.

    `repository` is the slug whose image is built in the box, or whose next session it `waits` for; then there
    is no session.
    """

    session_id: str
    repository: str = ""
    waits: bool = False
    box: str
    package_hosts: Mapping[str, tuple[str, ...]]
    certificate: str
    key: str


class Door:
    """Serves the socket in `directory` from `start` until `aclose`."""

    def __init__(self, record: DoorRecord, directory: Path, gate: Gate, parts: DoorParts) -> None:
        self.record = record
        self.directory = directory
        self.gate = gate
        self._parts = parts
        self._authority = Authority(record.certificate, record.key)
        self._connections: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._places = asyncio.Semaphore(MAX_CONNECTIONS)
        self._server: asyncio.Server | None = None
        self._inode = 0
        self._is_shut = False

    async def start(self) -> None:
        """Let the box in."""
        listener = await asyncio.to_thread(_prepare, self.directory, self.record.certificate)
        self._inode = await asyncio.to_thread(_inode, self.directory / DOOR_SOCKET)
        self._server = await asyncio.start_unix_server(self._met, sock=listener, limit=PIECE_BYTES)

    async def give(self, secrets: Mapping[str, str]) -> None:
        """Let the box read exactly these secrets, each in a file of its name."""
        await asyncio.to_thread(_write_secrets, self.directory / DOOR_SECRETS, secrets)

    async def aclose(self) -> None:
        """Cut off the box. The directory stays."""
        self._is_shut = True
        if self._server is not None:
            # A server that closes loses those who have just been let in: they would wait, met by nobody.
            await asyncio.to_thread(_remove, self.directory / DOOR_SOCKET, self._inode)
            for _ in range(MEETING_STEPS):
                await asyncio.sleep(0)
            self._server.close()
        for connection, writer in self._connections.items():
            # Not closed: that would wait for what the box has not read yet.
            writer.transport.abort()
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def _met(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_shut or len(self._connections) >= 2 * MAX_CONNECTIONS:
            # Telling so many why they may not stay would hold as many of the broker's files.
            writer.transport.abort()
            return
        served = self._in_turn(reader, writer)
        connection = asyncio.create_task(served, name=f"door of {self.record.box}")
        self._connections[connection] = writer
        connection.add_done_callback(self._ended)

    async def _in_turn(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serves the connection when there is a place for it.

        The box knows that one has ended before it has ended here, so one more may come a moment too soon.
        """
        try:
            await asyncio.wait_for(self._places.acquire(), self._parts.queue_seconds)
        except TimeoutError:
            await _turn_away(reader, writer)
            return
        except asyncio.CancelledError:
            writer.transport.abort()
            raise
        try:
            await serve(reader, writer, self.gate, self._authority, self._parts)
        finally:
            self._places.release()

    def _ended(self, connection: asyncio.Task[None]) -> None:
        del self._connections[connection]
        if not connection.cancelled() and (error := connection.exception()) is not None:
            log.error("a connection of a box failed", box=self.record.box, exc_info=error)


async def _turn_away(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    stream = PlainStream(reader, writer, Activity(1.0))
    try:
        await BoxSide(stream).answer(
            UNAVAILABLE, f"This box has {MAX_CONNECTIONS} connections open; close some first."
        )
    except Gone:
        return
    finally:
        await stream.close()


def _prepare(directory: Path, certificate: str) -> socket.socket:
    directory.mkdir(exist_ok=True)
    directory.chmod(0o755)
    secrets = directory / DOOR_SECRETS
    secrets.mkdir(exist_ok=True)
    secrets.chmod(0o755)
    _write(directory / DOOR_AUTHORITY, certificate)
    path = directory / DOOR_SOCKET
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # A socket's path is at most 107 bytes long; by way of the directory's descriptor it is always short.
    descriptor = os.open(directory, os.O_PATH | os.O_DIRECTORY)
    try:
        listener.bind(f"/proc/self/fd/{descriptor}/{DOOR_SOCKET}")
    finally:
        os.close(descriptor)
    path.chmod(0o666)
    listener.listen(BACKLOG)
    listener.setblocking(False)
    return listener


def _inode(path: Path) -> int:
    return path.stat().st_ino


def _remove(path: Path, inode: int) -> None:
    """The socket is gone, unless the door was opened again by somebody else."""
    with suppress(FileNotFoundError):
        if _inode(path) == inode:
            path.unlink()


def _write_secrets(directory: Path, secrets: Mapping[str, str]) -> None:
    for name, secret in secrets.items():
        _write(directory / name, secret)
    for path in directory.iterdir():
        if path.name not in secrets:
            path.unlink()


def _write(path: Path, text: str) -> None:
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_text(text)
    fresh.chmod(0o444)
    fresh.replace(path)
