"""One connection to a runner: frames out, frames in, many requests at once."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import stat
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sandbox.environments.runner_results import Frame, RunnerError, ToolRefused

MAX_FRAME_BYTES = 16 * 1024 * 1024
HEADER = struct.Struct(">I")

OnOutput = Callable[[str], None]


class ConnectionLost(Exception):
    """The socket closed, or could not be opened, before the answer came."""


@dataclass(slots=True)
class Waiting:
    answer: asyncio.Future[Frame]
    on_output: OnOutput | None


class RunnerConnection:
    """An open socket to a runner. Made by `connect`; `aclose` ends it and every request in flight."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._waiting: dict[int, Waiting] = {}
        self._next_id = 0
        self._lost: str | None = None
        self._pump = asyncio.create_task(self._read_frames())

    @property
    def lost(self) -> bool:
        return self._lost is not None

    async def request(self, op: str, args: Frame, on_output: OnOutput | None = None) -> Frame:
        """The answer to one operation; `on_output` gets the text that arrives before it.

        Raises: ConnectionLost, ToolRefused, RunnerError.
        """
        if self._lost is not None:
            raise ConnectionLost(self._lost)
        self._next_id += 1
        request_id = self._next_id
        payload = json.dumps({"id": request_id, "op": op, "args": args}).encode()
        if len(payload) > MAX_FRAME_BYTES:
            raise ToolRefused(f"{op}: {len(payload)} bytes do not fit in one call ({MAX_FRAME_BYTES})")
        waiting = Waiting(asyncio.get_running_loop().create_future(), on_output)
        self._waiting[request_id] = waiting
        try:
            self._writer.write(HEADER.pack(len(payload)) + payload)
            await self._writer.drain()
            return await waiting.answer
        except OSError as error:
            raise ConnectionLost(str(error)) from error
        finally:
            del self._waiting[request_id]

    async def aclose(self) -> None:
        """The socket is closed and its reader ended."""
        self._pump.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._pump
        self._fail("the connection was closed")
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    async def _read_frames(self) -> None:
        try:
            while True:
                (length,) = HEADER.unpack(await self._reader.readexactly(HEADER.size))
                if length > MAX_FRAME_BYTES:
                    raise ConnectionLost(f"a frame of {length} bytes is over the limit")
                self._deliver(json.loads(await self._reader.readexactly(length)))
        except (asyncio.IncompleteReadError, OSError):
            self._fail("the runner closed the connection")
        except (ConnectionLost, ValueError) as error:
            self._fail(f"the runner does not speak the protocol: {error}")

    def _deliver(self, frame: object) -> None:
        if not isinstance(frame, dict):
            raise ValueError("a frame is not an object")
        request_id = frame.get("id")
        waiting = self._waiting.get(request_id) if isinstance(request_id, int) else None
        if waiting is None or waiting.answer.done():
            return
        if isinstance(text := frame.get("output"), str):
            if waiting.on_output is not None:
                _show(waiting, waiting.on_output, text)
        elif isinstance(error := frame.get("error"), dict):
            kind = ToolRefused if error.get("kind") == "refused" else RunnerError
            waiting.answer.set_exception(kind(str(error.get("message"))))
        elif isinstance(result := frame.get("result"), dict):
            waiting.answer.set_result(result)
        else:
            raise ValueError("a frame has neither output, error nor result")

    def _fail(self, why: str) -> None:
        self._lost = self._lost or why
        self._writer.close()
        for waiting in self._waiting.values():
            if not waiting.answer.done():
                waiting.answer.set_exception(ConnectionLost(why))


def _show(waiting: Waiting, on_output: OnOutput, text: str) -> None:
    try:
        on_output(text)
    except Exception as error:  # noqa: BLE001 - the listener's own error goes to the listener's call alone
        waiting.answer.set_exception(error)


async def connect(socket_path: Path) -> RunnerConnection:
    """An open connection to the runner behind `socket_path`.

    The directory belongs to the box, which could put a link to some other socket of the host there: the
    path is opened without following links and the connection goes through that very file. This also
    frees the path of the 107 bytes a socket address may have.

    Raises: ConnectionLost.
    """
    try:
        handle = os.open(socket_path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise ConnectionLost(f"{socket_path.name}: {error.strerror}") from error
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if not stat.S_ISSOCK(os.fstat(handle).st_mode):
            raise ConnectionLost(f"{socket_path.name} is not a socket")
        connection.setblocking(False)
        await asyncio.get_running_loop().sock_connect(connection, f"/proc/self/fd/{handle}")
        reader, writer = await asyncio.open_unix_connection(sock=connection)
    except OSError as error:
        connection.close()
        raise ConnectionLost(str(error)) from error
    except BaseException:
        connection.close()
        raise
    finally:
        os.close(handle)
    return RunnerConnection(reader, writer)
