"""Starting processes, hearing of their end, and ending whole trees of them."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import Iterable, Mapping

from .process_table import TAG, descendants, process_table, tagged
from .refusal import Failed
from .starter import PR_SET_CHILD_SUBREAPER, Started, Starter, StarterGone, clone_number, libc, split_off
from .strain import entries

KILL_SECONDS = 2.0
# Processes that make others are ended faster than they make them, but on a busy machine not at once.
STRAYS_SECONDS = 10.0


class Process:
    """A program that was started: `output` is the reading end of its pipe.

    `ended` gets its wait status, or Failed if the program could not be run.
    """

    def __init__(
        self, started: Started, output: int, tag: str, program: str, ended: asyncio.Future[int]
    ) -> None:
        self.pid = started.pid
        self.output = output
        self.tag = tag
        self.ended = ended
        self._started = started
        self._program = program

    async def runs(self) -> None:
        """Returns once the program has taken the process over. Raises: Failed when it could not."""
        loop, known = asyncio.get_event_loop(), asyncio.Event()
        loop.add_reader(self._started.line, known.set)
        try:
            await known.wait()
        finally:
            loop.remove_reader(self._started.line)
        if self._started.failure():
            raise self._failed()

    def has_ended(self, status: int) -> None:
        """The kernel has said so."""
        if self.ended.done():
            return
        if self._started.failure():
            self.ended.set_exception(self._failed())
            # Who asked for the process is told, and nobody else has to be.
            self.ended.exception()
        else:
            self.ended.set_result(status)

    def close(self) -> None:
        """Nobody asks any more whether the program could be run."""
        self._started.line.close()

    def _failed(self) -> Failed:
        number = self._started.failure()
        return Failed(f"cannot start {self._program}: {OSError(number, os.strerror(number))}")


class Processes:
    """Every process of the box that the runner started.

    `environment` is what each of them gets at least; `mark` tells this runner's processes from others'.
    `most` is how many the box may have; None: nobody says.
    """

    def __init__(
        self, starter: Starter, environment: Mapping[str, str], mark: str, most: int | None = None
    ) -> None:
        self._starter = starter
        self._environment = dict(environment)
        self._mark = mark
        self.most = most
        self._waiting: dict[int, Process] = {}
        self._live: dict[str, int] = {}
        self._shell = "/bin/bash" if os.path.exists("/bin/bash") else "/bin/sh"

    def watch(self) -> None:
        """Ends are heard of from now on. Call once, in the running loop."""
        # What a finished call leaves behind comes to the runner, however it hides.
        libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        asyncio.get_event_loop().add_signal_handler(signal.SIGCHLD, self._reap)

    async def start_shell(self, command: str, directory: str, env: Mapping[str, str], tag: str) -> Process:
        """A fresh shell that runs `command`. Raises: Failed."""
        return await self.start([self._shell, "-c", command], directory, env, f"{self._mark}:{tag}")

    async def start(
        self, arguments: list[str], directory: str, env: Mapping[str, str], tag: str, keep_errors: bool = True
    ) -> Process:
        """A process in a session of its own, stdout and stderr in one pipe. Raises: Failed."""
        if self.most is not None and entries() > self.most // 2:
            await self.end_strays()
        try:
            return self._spawn(arguments, directory, env, tag, keep_errors)
        except BlockingIOError:
            await self.end_strays()
        except OSError as error:
            raise Failed(f"cannot start {arguments[0]}: {error}") from error
        try:
            return self._spawn(arguments, directory, env, tag, keep_errors)
        except OSError as error:
            raise Failed(f"cannot start {arguments[0]}: the box is at its limit of processes") from error

    async def start_for_long(self, command: str, directory: str, env: Mapping[str, str], tag: str) -> Process:
        """A fresh shell that runs `command`, once it does. Raises: Failed."""
        process = await self.start_shell(command, directory, env, tag)
        try:
            await process.runs()
        except Failed:
            os.close(process.output)
            self.finished(process)
            raise
        return process

    async def output_of(
        self,
        arguments: list[str],
        directory: str,
        env: Mapping[str, str],
        most_bytes: int,
        errors: bool = True,
    ) -> tuple[int, bytes]:
        """Exit code and output of a short-lived process, ended early once it wrote `most_bytes`."""
        process = await self.start(
            arguments, directory, env, f"{self._mark}:own-{os.urandom(6).hex()}", errors
        )
        loop = asyncio.get_event_loop()
        os.set_blocking(process.output, False)
        data = bytearray()
        closed: asyncio.Future[None] = loop.create_future()

        def read_some() -> None:
            chunk = os.read(process.output, 65536)
            data.extend(chunk)
            if (not chunk or len(data) > most_bytes) and not closed.done():
                closed.set_result(None)
                loop.remove_reader(process.output)

        loop.add_reader(process.output, read_some)
        try:
            await closed
            if len(data) > most_bytes:
                await self.kill_tree(process)
            return exit_code_of(await process.ended), bytes(data)
        finally:
            loop.remove_reader(process.output)
            os.close(process.output)
            self.finished(process)

    def finished(self, process: Process) -> None:
        """The call is over: what it left running is a stray from now on."""
        self._live.pop(process.tag, None)
        process.close()

    async def kill_tree(self, process: Process) -> None:
        """Everything that descends from the shell is gone, or 2 s have passed.

        The shell is stopped and dies last: while it lives, what its descendants orphan stays below it.
        """
        deadline = asyncio.get_event_loop().time() + KILL_SECONDS
        while True:
            table = process_table()
            victims = descendants(table, {process.pid}) | set(tagged(table, process.tag))
            victims -= {process.pid, os.getpid()}
            if not process.ended.done():
                _signal([process.pid], signal.SIGSTOP)
            _signal(victims, signal.SIGSTOP)
            _signal(victims, signal.SIGKILL)
            if not victims or asyncio.get_event_loop().time() > deadline:
                break
            await asyncio.sleep(0.005)
        if not process.ended.done():
            _signal([process.pid], signal.SIGKILL)
            await asyncio.wait([process.ended], timeout=KILL_SECONDS)

    def _spawn(
        self, arguments: list[str], directory: str, env: Mapping[str, str], tag: str, errors: bool
    ) -> Process:
        own = {**self._environment, **env, TAG: tag}
        reading, writing = os.pipe()
        try:
            started = self._started(arguments, directory, own, writing, errors)
        except BaseException:
            os.close(reading)
            raise
        finally:
            os.close(writing)
        ended: asyncio.Future[int] = asyncio.get_event_loop().create_future()
        process = Process(started, reading, tag, arguments[0], ended)
        self._waiting[process.pid] = process
        self._live[tag] = process.pid
        return process

    def _started(
        self, arguments: list[str], directory: str, env: dict[str, str], output: int, errors: bool
    ) -> Started:
        try:
            return self._starter.start(arguments, directory, env, output, errors)
        except StarterGone:
            self._starter.close()
            # One that is split off now is as large as the runner is, and starts processes all the same.
            self._starter = split_off(clone_number())
        try:
            return self._starter.start(arguments, directory, env, output, errors)
        except StarterGone as error:
            raise Failed(f"cannot start {arguments[0]}: {error}") from error

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            process = self._waiting.pop(pid, None)
            if process is not None:
                process.has_ended(status)

    async def end_strays(self) -> None:
        """Ends what finished calls left behind, for when the box has no room for more."""
        deadline = asyncio.get_event_loop().time() + STRAYS_SECONDS
        while asyncio.get_event_loop().time() < deadline:
            table = process_table()
            live = {pid for pid, tag in tagged(table, self._mark + ":").items() if tag in self._live}
            live |= set(self._live.values())
            strays = descendants(table, {os.getpid()}) - live - descendants(table, live)
            strays -= self._starter.processes
            if not strays:
                return
            _signal(strays, signal.SIGSTOP)
            _signal(strays, signal.SIGKILL)
            await asyncio.sleep(0.005)


def exit_code_of(status: int) -> int:
    """The exit code of a wait status, minus the signal's number when a signal ended it."""
    return os.WEXITSTATUS(status) if os.WIFEXITED(status) else -os.WTERMSIG(status)


def _signal(pids: Iterable[int], number: int) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except (ProcessLookupError, PermissionError):
            pass
