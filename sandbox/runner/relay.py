"""The way out of the box: bytes between a port of its loopback and the socket of its door, unread."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

HOST = "127.0.0.1"
CHUNK_BYTES = 256 * 1024
# The door has 64 places, and a box may have a few connections that do not come through here.
MOST_CONNECTIONS = 60
# npm asks for hundreds of packages at once, each on a connection of its own, and takes a refusal for a reason
# to wait a minute: callers wait here. Each takes one of the runner's open files, a relayed one two, and the
# runner needs some for its own work; whoever comes after these waits in the kernel.
MOST_CALLERS = 512
WAIT_SECONDS = 120.0
BACKLOG = 1024
# A door whose queue is full takes the next caller soon, or it is as good as away.
QUEUE_SECONDS = 10.0
RETRY_SECONDS = 0.02
NO_FILES_SECONDS = 0.1
# How long a caller that is turned away has for reading why.
LEAVE_SECONDS = 20.0

AWAY = "The door of this box does not answer, so nothing leaves it now: Bellhop's broker is away, try again."
FULL = f"This box has {MOST_CONNECTIONS} connections to the outside open: close some, then try again."


class CannotListen(Exception):
    """The port cannot be had; the message says which and why."""


class Relay:
    """Every connection to `port` of the loopback is one to the socket at `door`, or waits until it can be for
    as long as `wait_seconds`. `start`, then `serve`."""

    def __init__(self, port: int, door: str, wait_seconds: float = WAIT_SECONDS) -> None:
        self._port = port
        self._door = door
        self._wait_seconds = wait_seconds
        self._listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._callers: set[asyncio.Task[None]] = set()

    def start(self) -> int:
        """The port is taken from here on; its number, for a `port` of 0. Raises: CannotListen."""
        self._listener.setblocking(False)
        # A box that is started again must not wait for the last connections of its former life.
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._listener.bind((HOST, self._port))
            self._listener.listen(BACKLOG)
        except OSError as error:
            self._listener.close()
            message = (
                f"the way out of the box needs {HOST}:{self._port}, which cannot be had: {error.strerror}"
            )
            raise CannotListen(message) from error
        return int(self._listener.getsockname()[1])

    def stop(self) -> None:
        """The port is free again."""
        self._listener.close()

    async def serve(self) -> None:
        """Relays for ever."""
        loop = asyncio.get_event_loop()
        # Made here: on old Pythons it belongs to the loop that runs when it is made.
        places = asyncio.Semaphore(MOST_CONNECTIONS)
        while True:
            if len(self._callers) >= MOST_CALLERS:
                await asyncio.wait(self._callers, return_when=asyncio.FIRST_COMPLETED)
                # Those that ended take themselves away in the loop's next round.
                await asyncio.sleep(0)
                continue
            try:
                caller, _ = await loop.sock_accept(self._listener)
            except OSError:
                # The box is out of files, or the caller has gone again: neither may end the runner.
                await asyncio.sleep(NO_FILES_SECONDS)
                continue
            task = loop.create_task(self._attend(caller, places))
            self._callers.add(task)
            task.add_done_callback(self._callers.discard)

    async def _attend(self, caller: socket.socket, places: asyncio.Semaphore) -> None:
        with caller:
            caller.setblocking(False)
            try:
                await asyncio.wait_for(places.acquire(), self._wait_seconds)
            except asyncio.TimeoutError:
                await _turn_away(caller, FULL)
                return
            try:
                refusal = await self._relayed(caller)
            finally:
                places.release()
            if refusal:
                await _turn_away(caller, refusal)

    async def _relayed(self, caller: socket.socket) -> str:
        """Relays to the end; what the caller is to be told when nobody is behind the door, else empty."""
        door = await self._connected()
        if door is None:
            return AWAY
        with door:
            try:
                caller.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                await _exchange(caller, door)
            except OSError:
                pass  # one of the two has gone; closing both is all there is to do
        return ""

    async def _connected(self) -> socket.socket | None:
        """A connection to the door; None when nobody is behind it."""
        deadline = asyncio.get_event_loop().time() + QUEUE_SECONDS
        door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        door.setblocking(False)
        while True:
            try:
                door.connect(self._door)
                return door
            except BlockingIOError:
                # Source: unix(7): a full queue is EAGAIN, and no event tells when it has room again.
                if asyncio.get_event_loop().time() > deadline:
                    door.close()
                    return None
            except OSError:
                door.close()
                return None
            await asyncio.sleep(RETRY_SECONDS)


async def _exchange(caller: socket.socket, door: socket.socket) -> None:
    """Both directions, each until its own end; a failure of one ends the other."""
    loop = asyncio.get_event_loop()
    directions = [loop.create_task(_pour(caller, door)), loop.create_task(_pour(door, caller))]
    try:
        await asyncio.wait(directions, return_when=asyncio.FIRST_EXCEPTION)
    finally:
        for direction in directions:
            direction.cancel()
        ends: Any = asyncio.gather(*directions, return_exceptions=True)
        await ends


async def _pour(source: socket.socket, sink: socket.socket) -> None:
    """Bytes from one to the other, as fast as the other takes them, and then the end of them."""
    loop = asyncio.get_event_loop()
    while True:
        data = await loop.sock_recv(source, CHUNK_BYTES)
        if not data:
            sink.shutdown(socket.SHUT_WR)
            return
        await loop.sock_sendall(sink, data)
        # Neither call waits while both ends are quick, and the box has other work too.
        await asyncio.sleep(0)


async def _turn_away(caller: socket.socket, sentence: str) -> None:
    """Tells the caller, if it is still there."""
    try:
        await _tell(caller, sentence)
    except (OSError, asyncio.TimeoutError):
        return


async def _tell(caller: socket.socket, sentence: str) -> None:
    loop = asyncio.get_event_loop()
    body = (sentence + "\n").encode()
    head = (
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    await loop.sock_sendall(caller, head.encode() + body)
    caller.shutdown(socket.SHUT_WR)
    # Closing on unread bytes would reset the connection, and the answer with it.
    await asyncio.wait_for(_drain(caller), LEAVE_SECONDS)


async def _drain(caller: socket.socket) -> None:
    while await asyncio.get_event_loop().sock_recv(caller, CHUNK_BYTES):
        pass
