"""A process that has imported Bellhop and becomes a `bellhop` command, or a program, when it is asked to.

Importing takes a second and a half of processor time, which most of what a test starts would spend before it
does anything. A fork has it behind it, and is otherwise a process like any: its own memory, environment,
descriptors, session and end. `tests.provision.forks` is the side that asks.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import pkgutil
import selectors
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

from deploy.command import main as bellhop
from sandbox.images.machine_packages import python_and_npm_settings

ROOMS = ("session", "skills", "classifier", "bot", "companion_web", "sandbox", "deploy")
MOST_BYTES = 1_000_000
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG

Program = Callable[[], int]


def import_rooms() -> None:
    """Everything that a `bellhop` command may import, and ask this machine, later."""
    for room in map(importlib.import_module, ROOMS):
        for found in pkgutil.walk_packages(room.__path__, f"{room.__name__}."):
            if not found.name.endswith(".__main__"):
                importlib.import_module(found.name)
    # Whatever opens a local box asks pip and npm for it, which takes longer than most of what is tested.
    python_and_npm_settings()
    gc.collect()
    # What was imported is not touched any more, so forks share it.
    gc.freeze()


def serve(listener: socket.socket) -> Program:
    """Forks until the other side is gone, which ends this process; returns in each fork what it is to run."""
    waiting = selectors.DefaultSelector()
    waiting.register(listener, selectors.EVENT_READ)
    waiting.register(sys.stdin, selectors.EVENT_READ)
    forks: dict[int, tuple[int, socket.socket]] = {}
    while True:
        for key, _ in waiting.select():
            if key.fileobj is sys.stdin:
                sys.exit(0)
            if key.fileobj is not listener:
                pid, asked = forks.pop(key.fd)
                waiting.unregister(key.fd)
                os.close(key.fd)
                _tell_end(pid, asked)
                continue
            asked, _ = listener.accept()
            try:
                words, environment, directory, streams = _read(asked)
            except (EOFError, OSError):
                asked.close()
                continue
            pid = os.fork()
            if pid == 0:
                waiting.close()
                listener.close()
                asked.close()
                return _become(words, environment, directory, streams)
            for each in streams:
                os.close(each)
            with suppress(OSError):  # of whoever asked and is gone the others need not know
                asked.sendall(b"%d\n" % pid)
            ended = os.pidfd_open(pid)
            forks[ended] = pid, asked
            waiting.register(ended, selectors.EVENT_READ)


def _tell_end(pid: int, asked: socket.socket) -> None:
    _, status = os.waitpid(pid, 0)
    with asked:
        try:
            asked.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))
        except OSError:
            # Whoever asked for it does not wait for its end.
            return


def _read(asked: socket.socket) -> tuple[list[str], dict[str, str], str, list[int]]:
    data, streams, _, _ = socket.recv_fds(asked, MOST_BYTES, 3)
    while not data.endswith(b"\n"):
        more = asked.recv(MOST_BYTES)
        if not more:
            raise EOFError
        data += more
    words, environment, directory = json.loads(data)
    return words, environment, directory, streams


def _become(words: list[str], environment: dict[str, str], directory: str, streams: list[int]) -> Program:
    """This fork is a new process in its own session, with that environment and these streams alone."""
    os.setsid()
    ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    os.closerange(3, 256)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(directory)
    if words[0] == "-c":
        sys.argv[:] = ["-c", *words[2:]]
        return partial(_run, words[1])
    sys.argv[:] = ["bellhop", *words]
    return bellhop


def _run(program: str) -> int:
    exec(compile(program, "-c", "exec"), {"__name__": "__main__"})
    return 0


def main() -> int:
    """Serves at the socket named by the first argument."""
    import_rooms()
    path = Path(sys.argv[1])
    listener = socket.socket(socket.AF_UNIX)
    new = path.with_suffix(".new")
    listener.bind(str(new))
    listener.listen(64)
    new.rename(path)  # whoever sees it there finds it listening
    program = serve(listener)
    return program()


if __name__ == "__main__":
    sys.exit(main())
