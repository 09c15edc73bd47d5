"""The small process that every other one is started from.

To start a process the kernel copies the one that asks, and copying the runner takes longer than many a
command runs. So a process is split off before the runner loads what it needs, and stays small.
"""

from __future__ import annotations

import ctypes
import errno
import marshal
import os
import select
import signal
import socket
import struct
from typing import Mapping, NoReturn, Sequence

# Source: prctl(2). Set before exec it stays with the shell, so that whatever its descendants orphan comes
# back to the shell and cannot leave the tree, not even through setsid.
PR_SET_CHILD_SUBREAPER = 36
# The kernel's out-of-memory killer shall choose the tool and not the runner.
TOOL_OOM_SCORE = b"800"
# A starter that takes longer was stopped by somebody, and will not answer.
ANSWER_SECONDS = 5.0

LENGTH, DESCRIPTOR, NUMBER = struct.Struct(">I"), struct.Struct("i"), struct.Struct("i")
# What happened, to which process, and its wait status or the error that prevented it.
ANSWER = struct.Struct("cii")
STARTED, FAILED, ENDED = b"s", b"f", b"e"

prctl = ctypes.CDLL(None).prctl


class StarterGone(Exception):
    """The starter has ended, or does not answer: whether it did what it was asked last is not known."""


class Starter:
    """The runner's end. `answers` is readable when something has ended, and when the starter has."""

    def __init__(self, pid: int, requests: socket.socket, answers: int) -> None:
        self.pid = pid
        self.answers = answers
        self._requests = requests
        self._ended: list[tuple[int, int]] = []

    def start(
        self, arguments: Sequence[str], directory: str, env: Mapping[str, str], output: int, errors: bool
    ) -> int:
        """The process id of a new process in a session of its own, which writes to `output`.

        `errors` False throws away what it writes to stderr.

        Raises: OSError as the kernel gave it, StarterGone.
        """
        content = marshal.dumps((list(arguments), directory, dict(env), errors))
        passed = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, DESCRIPTOR.pack(output))]
        try:
            self._requests.sendmsg([LENGTH.pack(len(content))], passed)
            self._requests.sendall(content)
        except OSError as error:
            raise StarterGone(str(error)) from error
        while True:
            kind, pid, number = self._answer()
            if kind == STARTED:
                return pid
            if kind == FAILED:
                raise OSError(number, os.strerror(number))
            self._ended.append((pid, number))

    def ended(self) -> list[tuple[int, int]]:
        """Process id and wait status of those that have ended since the last time. Raises: StarterGone."""
        while _readable(self.answers, 0):
            _, pid, status = self._answer()
            self._ended.append((pid, status))
        found, self._ended = self._ended, []
        return found

    def close(self) -> None:
        """The starter ends; what it started goes on."""
        self._requests.close()
        os.close(self.answers)

    def _answer(self) -> tuple[bytes, int, int]:
        if not _readable(self.answers, ANSWER_SECONDS):
            raise StarterGone("the process that starts the others does not answer")
        data = os.read(self.answers, ANSWER.size)
        if len(data) < ANSWER.size:
            raise StarterGone("the process that starts the others has ended")
        kind, pid, number = ANSWER.unpack(data)
        return kind, pid, number


def _readable(descriptor: int, seconds: float) -> bool:
    waiting = select.poll()
    waiting.register(descriptor, select.POLLIN)
    return bool(waiting.poll(seconds * 1000))


def split_off() -> Starter:
    """A starter that is a copy of this process as it is now. Raises: OSError."""
    ours, theirs = socket.socketpair()
    reading, writing = os.pipe()
    try:
        pid = os.fork()
    except OSError:
        ours.close()
        os.close(reading)
        raise
    else:
        if pid == 0:
            _serve(theirs, writing)
    finally:
        theirs.close()
        os.close(writing)
    return Starter(pid, ours, reading)


def _serve(requests: socket.socket, answers: int) -> NoReturn:
    """The starter's life: until the runner has gone."""
    try:
        _close_all_but({0, 1, 2, requests.fileno(), answers})
        ends = _heard_ends()
        null = os.open(os.devnull, os.O_RDWR)
        waiting = select.poll()
        for descriptor in (requests.fileno(), ends):
            waiting.register(descriptor, select.POLLIN)
        while True:
            ready = {descriptor for descriptor, _ in waiting.poll()}
            if ends in ready:
                os.read(ends, 4096)
                _tell_ends(answers)
            if requests.fileno() in ready:
                os.write(answers, _started(requests, null))
    finally:
        os._exit(0)


def _close_all_but(kept: set[int]) -> None:
    for name in os.listdir("/proc/self/fd"):
        if int(name) not in kept:
            try:
                os.close(int(name))
            except OSError:  # the one that the listing itself had open
                pass


def _heard_ends() -> int:
    """Readable once a child has ended. The other signals are as a program finds them that nobody prepared."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    # Python ignores these, and what is ignored stays so in every program that is run.
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    return reading


def _tell_ends(answers: int) -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        os.write(answers, ANSWER.pack(ENDED, pid, status))


def _started(requests: socket.socket, null: int) -> bytes:
    """The answer to the next request; the starter ends when there is none."""
    space = socket.CMSG_SPACE(DESCRIPTOR.size)
    head, passed, _, _ = requests.recvmsg(LENGTH.size, space, socket.MSG_CMSG_CLOEXEC)
    if not passed:
        os._exit(0)
    (output,) = DESCRIPTOR.unpack(passed[0][2])
    (length,) = LENGTH.unpack(head)
    content = b""
    while len(content) < length:
        content += requests.recv(length - len(content)) or os._exit(0)
    arguments, directory, env, errors = marshal.loads(content)
    reading, writing = os.pipe()
    try:
        pid = os.fork()
        if pid == 0:
            _become(arguments, directory, env, (null, output, output if errors else null), writing)
        os.close(writing)
        failure = os.read(reading, NUMBER.size)
    except OSError as error:
        os.close(writing)
        return ANSWER.pack(FAILED, 0, error.errno or errno.EIO)
    finally:
        os.close(reading)
        os.close(output)
    if not failure:
        return ANSWER.pack(STARTED, pid, 0)
    os.waitpid(pid, 0)
    return ANSWER.pack(FAILED, 0, *NUMBER.unpack(failure))


def _become(
    arguments: list[str], directory: str, env: dict[str, str], streams: tuple[int, int, int], failure: int
) -> NoReturn:
    """This process is that program from now on, or tells `failure` why not and ends."""
    try:
        os.setsid()
        prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        score = os.open("/proc/self/oom_score_adj", os.O_WRONLY)
        os.write(score, TOOL_OOM_SCORE)
        os.close(score)
        os.chdir(directory)
        for number, descriptor in enumerate(streams):
            os.dup2(descriptor, number)
        os.execvpe(arguments[0], arguments, env)
    except OSError as error:
        os.write(failure, NUMBER.pack(error.errno or errno.EIO))
    except (ValueError, UnicodeError):
        os.write(failure, NUMBER.pack(errno.EINVAL))
    finally:
        os._exit(127)
