"""`bellhop` commands as real processes that need not import Bellhop first: forks of one that has."""

from __future__ import annotations

import asyncio
import atexit
import functools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from tests.provision.places import CHECKOUT, temporary_home

START_SECONDS = 120.0
POLL_SECONDS = 0.02


class Fork:
    """A `bellhop` command under way. `pid` is its number, `returncode` its exit code once it has one."""

    def __init__(self, pid: int, end: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._writer = writer
        self._ended = asyncio.create_task(self._wait(end), name=f"end of process {pid}")

    def send_signal(self, number: int) -> None:
        """A signal to it. Raises: ProcessLookupError, when it has ended."""
        if self.returncode is not None:
            raise ProcessLookupError(f"process {self.pid} has ended")
        os.kill(self.pid, number)

    def kill(self) -> None:
        """SIGKILL. Raises: ProcessLookupError, when it has ended."""
        self.send_signal(signal.SIGKILL)

    async def wait(self) -> int:
        """Its exit code, negative for the signal that ended it."""
        return await asyncio.shield(self._ended)

    async def _wait(self, end: asyncio.StreamReader) -> int:
        try:
            self.returncode = int(await end.readline())
        finally:
            self._writer.close()
        return self.returncode


async def run_program(program: str, *arguments: str) -> str:
    """What the program printed and complained, in a process of its own, once that has ended well."""
    with TemporaryFile() as output:
        process = await bellhop("-c", program, *arguments, environment={}, output=output)
        code = await process.wait()
        output.seek(0)
        said = output.read().decode()
    assert code == 0, said
    return said


async def bellhop(
    *words: str,
    environment: Mapping[str, str],
    output: IO[bytes],
    errors: IO[bytes] | None = None,
    stdin: IO[bytes] | None = None,
) -> Fork:
    """`bellhop <words>` in the checkout, in a session of its own, with that environment and no other; or the
    program that stands after `-c`, as of `python -c`.

    The files stay the caller's. `errors` None: to `output` too; `stdin` None: there is nothing to read.
    """
    message = json.dumps([words, dict(environment), str(CHECKOUT)]).encode()
    with TemporaryFile() as nothing:
        streams = [stdin or nothing, output, errors or output]
        asked = await asyncio.to_thread(_ask, message + b"\n", [each.fileno() for each in streams])
    reader, writer = await asyncio.open_unix_connection(sock=asked)
    return Fork(int(await reader.readline()), reader, writer)


SHARED = "BELLHOP_TEST_FORKS"
"""The variable that names the socket of a process that forks for several test processes."""


def share() -> None:
    """Start the process that forks for all test processes that this one starts from now on."""
    os.environ[SHARED] = str(_server(temporary_home()).path)


class _Server:
    """The process that forks, for as long as this one lives: it ends when its standard input does."""

    def __init__(self, home: Path) -> None:
        self.path = home / "forks"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.provision.fork_server", str(self.path)],
            cwd=CHECKOUT,
            stdin=subprocess.PIPE,
        )

    def end(self) -> None:
        """It is gone, and so is what it forked."""
        with suppress(BrokenPipeError):
            self._process.communicate()
        shutil.rmtree(self.path.parent, ignore_errors=True)


def _ask(message: bytes, descriptors: Sequence[int]) -> socket.socket:
    """A connection that tells the new process's number, and its exit code when it has ended."""
    asked = socket.socket(socket.AF_UNIX)
    asked.connect(_listening())
    sent = socket.send_fds(asked, [message], list(descriptors))
    asked.sendall(message[sent:])
    asked.setblocking(False)
    return asked


@functools.cache
def _listening() -> str:
    """The socket of the process that forks, as soon as it listens."""
    path = Path(os.environ.get(SHARED) or _server(temporary_home()).path)
    deadline = time.monotonic() + START_SECONDS
    while not path.exists():
        if time.monotonic() > deadline:
            raise RuntimeError("the process that forks `bellhop` commands did not start")
        time.sleep(POLL_SECONDS)
    return str(path)


def _server(home: Path) -> _Server:
    server = _Server(home)
    atexit.register(server.end)
    return server
