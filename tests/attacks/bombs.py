"""What code in a box does to use up the host. Runs in boxes only: `python3 this <act> [argument]`.

Every act has a bound of its own, some times what a box of the tests may have, in case nothing else stops it.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Callable

MIB = 1024 * 1024
# Who is nobody's child keeps what it took for longer than anybody waits for its end.
HOLD_SECONDS = 120 if sys.argv[1:2] == ["lasting"] else 20
MOST_PROCESSES = 400
MOST_BYTES = 320 * MIB
MOST_SOCKETS = 1000
MOST_FILES = 200_000


def forks() -> None:
    """Processes that do nothing but be there."""
    _children(pause)


def zombies() -> None:
    """Processes that have ended and are not collected."""
    _children(lambda: None)


def nameless(act: str, *arguments: str) -> None:
    """Another act, by a process that left its session and has no environment: nobody's child."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            with open("nameless", "w", encoding="ascii") as file:
                file.write(str(os.getpid()))
            silence = os.open("/dev/null", os.O_RDWR)
            for descriptor in (0, 1, 2):
                os.dup2(silence, descriptor)
            os.execve(sys.executable, [sys.executable, __file__, "lasting", act, *arguments], {})
        os._exit(0)


def lasting(act: str, *arguments: str) -> None:
    """Another act, which is not over by itself soon."""
    globals()[act](*arguments)


def memory() -> None:
    """More of it than a box has."""
    kept = [bytearray(os.urandom(1)) * (16 * MIB) for _ in range(MOST_BYTES // (16 * MIB))]
    hold(f"{len(kept) * 16} MiB of memory")


def memory_as_files() -> None:
    """File systems that are memory."""
    say(f"{(_fill('/tmp/full') + _fill('/dev/shm/full')) // MIB} MiB")
    for path in ("/tmp/full", "/dev/shm/full"):
        os.unlink(path)


def disk(path: str) -> None:
    """A file that grows, where the path says."""
    try:
        written = _fill(path)
    except OSError as error:
        say(f"refused: {error.strerror}")
        return
    hold(f"{written // MIB} MiB of disk")


def hidden_disk() -> None:
    """A file that grows and has no name."""
    with open("hidden", "wb") as file:
        os.unlink("hidden")
        hold(f"{_pour(file.fileno()) // MIB} MiB of disk")


def inodes(path: str) -> None:
    """Files without content, each in want of an inode."""
    os.makedirs(path, exist_ok=True)
    for number in range(MOST_FILES):
        try:
            os.close(os.open(f"{path}/{number}", os.O_CREAT | os.O_WRONLY))
        except OSError as error:
            say(f"refused: {error.strerror}")
            return
    hold(f"{MOST_FILES} files")


def open_files() -> None:
    """Everything that one process can open."""
    kept: list[int] = []
    try:
        while len(kept) < 8192:
            kept.append(os.open("/dev/null", os.O_RDONLY))
    except OSError:
        pass
    count = len(kept)
    for descriptor in kept:
        os.close(descriptor)
    say(f"{count} files")


def sockets() -> None:
    """Connections to the door, past the runner and through it, that say nothing."""
    kept = [
        *_connections("/run/bellhop-door/door.sock", MOST_SOCKETS * 3 // 4),
        *_connections(None, MOST_SOCKETS // 4),
    ]
    with open("connected", "w", encoding="ascii") as file:
        file.write(str(len(kept)))
    time.sleep(HOLD_SECONDS)


def say(what: str) -> None:
    """Tells the outcome."""
    sys.stdout.write(what + "\n")
    sys.stdout.flush()


def hold(what: str) -> None:
    """Keeps what was taken, and says so at the end: who is ended before has not kept it."""
    time.sleep(HOLD_SECONDS)
    say(f"kept {what}")


def pause() -> None:
    signal.alarm(HOLD_SECONDS)
    signal.pause()


def _children(act: Callable[[], None]) -> None:
    """As many as there can be; the number is told at each, since something may end this."""
    for number in range(1, MOST_PROCESSES + 1):
        try:
            child = os.fork()
        except OSError:
            return
        if child == 0:
            act()
            os._exit(0)
        say(str(number))


def _fill(path: str) -> int:
    with open(path, "wb") as file:
        return _pour(file.fileno())


def _pour(descriptor: int) -> int:
    """Writes until there is no room, or its own bound is reached; how much."""
    written, block = 0, os.urandom(MIB)
    while written < MOST_BYTES:
        try:
            written += os.write(descriptor, block)
        except OSError:
            break
        # A disk is slower than the memory in front of it.
        time.sleep(0.002)
    return written


def _connections(path: str | None, most: int) -> list[socket.socket]:
    kept = []
    for _ in range(most):
        made = socket.socket(socket.AF_UNIX if path else socket.AF_INET)
        made.settimeout(1)
        try:
            made.connect(path or ("127.0.0.1", 3128))
        except OSError:
            made.close()
            continue
        kept.append(made)
    return kept


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
