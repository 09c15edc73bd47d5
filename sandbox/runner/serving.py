"""What the runner is once it has started: its parts, put together, and served until it is ended."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import Coroutine

from .journal import Journal
from .limits import Limits
from .operations import Operations
from .options import Options
from .places import Places
from .processes import Processes
from .relay import CannotListen, Relay
from .server import serve
from .starter import Starter


def serve_box(options: Options, starter: Starter) -> None:
    """Serves until the process is ended; leaves the program where it cannot."""
    try:
        asyncio.run(run(options, starter))
    except CannotListen as error:
        sys.exit(f"The runner does not start: {error}.")


def leave_streams(path: str) -> None:
    """What the runner writes goes to that file: the pipes it was started with are not for the box to fill."""
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    for stream in (1, 2):
        os.dup2(log, stream)
    os.close(log)


def tool_environment() -> dict[str, str]:
    """What every command finds in its environment; nothing that waits for a key press."""
    quiet = {"PAGER": "cat", "GIT_PAGER": "cat", "GIT_TERMINAL_PROMPT": "0", "GIT_EDITOR": "true"}
    own = {name: value for name, value in os.environ.items() if not name.startswith("BELLHOP_")}
    return {**quiet, **own}


def written_to(places: Places, socket: str) -> list[str]:
    """Every directory on a disk that the box's user may write to."""
    home = os.path.expanduser("~")
    return [places.workspace, places.state, os.path.dirname(os.path.abspath(socket)), home, "/var/tmp"]


async def end_strays_over(limits: Limits, processes: Processes) -> None:
    """Ends what finished calls left behind once the box is over a limit; a call under way hears it itself."""
    over = asyncio.Event()
    watching = asyncio.get_event_loop().create_task(limits.watch(lambda _: over.set(), processes.end_strays))
    try:
        while True:
            await over.wait()
            over.clear()
            await processes.end_strays()
    finally:
        watching.cancel()


async def run(options: Options, starter: Starter) -> None:
    """Serves until the process is ended. Raises: CannotListen."""
    serving: list[Coroutine[object, object, None]] = []
    if options.door is not None:
        relay = Relay(options.door_port, options.door)
        # Before anything else runs in the box: whoever had the port first would hear all that leaves it.
        relay.start()
        serving.append(relay.serve())
    places = Places(options.workspace, options.state, options.readable)
    journal = Journal(os.path.join(places.state, "journal"))
    processes = Processes(starter, tool_environment(), options.box, options.most_processes)
    processes.watch()
    # The first process of a box hears of a signal only if it asks to.
    asyncio.get_event_loop().add_signal_handler(signal.SIGTERM, os._exit, 0)
    leave_streams(os.path.join(places.state, "runner.log"))
    limits = Limits(written_to(places, options.socket), options.memory_bytes, options.disk_bytes)
    serving.append(end_strays_over(limits, processes))
    serving.append(serve(options.socket, Operations(options.box, processes, places, limits, journal)))
    await asyncio.gather(*serving)
