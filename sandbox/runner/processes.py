"""Starting processes, hearing of their end, and ending whole trees of them."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import subprocess
from typing import Iterable, Mapping, NamedTuple

from .refusal import Failed

# Source: prctl(2). Set before exec it stays with the shell, so that whatever its descendants orphan comes
# back to the shell and cannot leave the tree, not even through setsid.
PR_SET_CHILD_SUBREAPER = 36
TAG = "BELLHOP_CALL"
# The kernel's out-of-memory killer shall choose the tool and not the runner.
TOOL_OOM_SCORE = b"800"
KILL_SECONDS = 2.0


class Process:
    """A shell that was started: `output` is the reading end of its pipe, `ended` gets its wait status."""

    def __init__(self, pid: int, output: int, tag: str, ended: asyncio.Future[int]) -> None:
        self.pid = pid
        self.output = output
        self.tag = tag
        self.ended = ended


class Seen(NamedTuple):
    """One line of the process table."""

    pid: int
    parent: int
    state: str


class Processes:
    """Every process of the box that the runner started.

    `environment` is what each of them gets at least; `mark` tells this runner's processes from others'.
    `most` is how many the box may have; None: nobody says.
    """

    def __init__(self, environment: Mapping[str, str], mark: str, most: int | None = None) -> None:
        self._environment = dict(environment)
        self._mark = mark
        self._most = most
        self._waiting: dict[int, asyncio.Future[int]] = {}
        self._live: dict[str, int] = {}
        self._shell = "/bin/bash" if os.path.exists("/bin/bash") else "/bin/sh"
        self._prctl = ctypes.CDLL(None).prctl

    def watch(self) -> None:
        """Ends are heard of from now on. Call once, in the running loop."""
        # What a finished call leaves behind comes to the runner, however it hides.
        self._prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        asyncio.get_event_loop().add_signal_handler(signal.SIGCHLD, self._reap)

    async def start_shell(self, command: str, directory: str, env: Mapping[str, str], tag: str) -> Process:
        """A fresh shell that runs `command`. Raises: Failed."""
        return await self.start([self._shell, "-c", command], directory, env, f"{self._mark}:{tag}")

    async def start(
        self, arguments: list[str], directory: str, env: Mapping[str, str], tag: str, keep_errors: bool = True
    ) -> Process:
        """A process in a session of its own, stdout and stderr in one pipe. Raises: Failed."""
        if self._most is not None and _entries() > self._most // 2:
            await self.end_strays()
        try:
            return self._spawn(arguments, directory, env, tag, keep_errors)
        except BlockingIOError:
            await self.end_strays()
        except (OSError, subprocess.SubprocessError) as error:
            raise Failed(f"cannot start {arguments[0]}: {error}") from error
        try:
            return self._spawn(arguments, directory, env, tag, keep_errors)
        except (OSError, subprocess.SubprocessError) as error:
            raise Failed(f"cannot start {arguments[0]}: the box is at its limit of processes") from error

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
        self, arguments: list[str], directory: str, env: Mapping[str, str], tag: str, keep_errors: bool
    ) -> Process:
        reading, writing = os.pipe()
        try:
            child = subprocess.Popen(
                arguments,
                cwd=directory,
                env={**self._environment, **env, TAG: tag},
                stdin=subprocess.DEVNULL,
                stdout=writing,
                stderr=writing if keep_errors else subprocess.DEVNULL,
                start_new_session=True,
                preexec_fn=self._before_exec,
            )
        except BaseException:
            os.close(reading)
            raise
        finally:
            os.close(writing)
        # The runner reaps every child itself; without a return code the object would complain at its end.
        child.returncode = 0
        ended: asyncio.Future[int] = asyncio.get_event_loop().create_future()
        self._waiting[child.pid] = ended
        self._live[tag] = child.pid
        return Process(child.pid, reading, tag, ended)

    def _before_exec(self) -> None:
        self._prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        descriptor = os.open("/proc/self/oom_score_adj", os.O_WRONLY)
        os.write(descriptor, TOOL_OOM_SCORE)
        os.close(descriptor)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            ended = self._waiting.pop(pid, None)
            if ended is not None and not ended.done():
                ended.set_result(status)

    async def end_strays(self) -> None:
        """Ends what finished calls left behind, for when the box has no room for more."""
        deadline = asyncio.get_event_loop().time() + KILL_SECONDS
        while asyncio.get_event_loop().time() < deadline:
            table = process_table()
            live = {pid for pid, tag in tagged(table, self._mark + ":").items() if tag in self._live}
            live |= set(self._live.values())
            strays = descendants(table, {os.getpid()}) - live - descendants(table, live)
            if not strays:
                return
            _signal(strays, signal.SIGSTOP)
            _signal(strays, signal.SIGKILL)
            await asyncio.sleep(0.005)


def _entries() -> int:
    """How many the box has, those included that nobody has collected."""
    return sum(name.isdigit() for name in os.listdir("/proc"))


def process_table() -> list[Seen]:
    """Every process of the box that is not yet a zombie."""
    table = []
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", "rb") as file:
                fields = file.read().rpartition(b")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if fields[0] not in (b"Z", b"X"):
            table.append(Seen(int(name), int(fields[1]), fields[0].decode()))
    return table


def descendants(table: list[Seen], roots: set[int]) -> set[int]:
    """Every process below `roots`."""
    children: dict[int, list[int]] = {}
    for seen in table:
        children.setdefault(seen.parent, []).append(seen.pid)
    found: set[int] = set()
    waiting = list(roots)
    while waiting:
        for pid in children.get(waiting.pop(), []):
            if pid not in found:
                found.add(pid)
                waiting.append(pid)
    return found


def tagged(table: list[Seen], start: str) -> dict[int, str]:
    """Processes whose environment has a tag that begins with `start`, and the tag."""
    found = {}
    for seen in table:
        try:
            with open(f"/proc/{seen.pid}/environ", "rb") as file:
                environment = file.read()
        except OSError:
            continue
        for line in environment.split(b"\0"):
            name, _, value = line.partition(b"=")
            tag = value.decode("utf-8", "replace")
            if name == TAG.encode() and tag.startswith(start):
                found[seen.pid] = tag
    return found


def exit_code_of(status: int) -> int:
    """The exit code of a wait status, minus the signal's number when a signal ended it."""
    return os.WEXITSTATUS(status) if os.WIFEXITED(status) else -os.WTERMSIG(status)


def _signal(pids: Iterable[int], number: int) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except (ProcessLookupError, PermissionError):
            pass
