"""`exec`: one command in a fresh shell, from its start to its end."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Callable

from .arguments import Args, Result, optional_text, seconds, text, texts
from .limits import Limits
from .measure import oom_kills
from .output import CapturedOutput, PipeReader, ShownOutput
from .places import Places
from .process_table import descendants, process_table
from .processes import Process, Processes, exit_code_of
from .refusal import Refused
from .strain import Strain

SHOW_SECONDS = 0.03
LOOK_SECONDS = 0.5

Listener = Callable[[str], None]


class RunningCommand:
    """A command under way: who listens to it, and why it was ended if it was."""

    def __init__(self) -> None:
        self.listeners: list[Listener] = []
        self.shown = ShownOutput()
        self.stop = asyncio.Event()
        self.cancelled = False
        self.timed_out = False
        self.cause: str | None = None

    def end(self, cause: str, *, cancelled: bool = False, timed_out: bool = False) -> None:
        """Asks for the command's end; the first cause stays."""
        if not self.stop.is_set():
            self.cause, self.cancelled, self.timed_out = cause, cancelled, timed_out
            self.stop.set()

    def tell(self) -> None:
        """Those who listen get what was written since the last time."""
        shown = self.shown.take()
        if shown:
            for listener in self.listeners:
                listener(shown)


class Execution:
    """Runs commands. `running` has those under way by call id."""

    def __init__(self, processes: Processes, places: Places, limits: Limits) -> None:
        self._processes = processes
        self._places = places
        self._limits = limits
        self.running: dict[str, RunningCommand] = {}

    async def run(self, call_id: str, args: Args) -> Result:
        """The command's end as a result. Raises: Refused, Failed."""
        command, timeout = text(args, "command"), seconds(args, "timeout_seconds")
        if "\0" in command:
            raise Refused("command has a NUL character")
        directory = self._places.directory(optional_text(args, "workdir"))
        running = self.running[call_id]
        captured = CapturedOutput(self._places.spill_path(call_id))
        started, kills_before, strain = time.monotonic(), oom_kills(), Strain(self._processes.most)
        process = await self._processes.start_shell(command, directory, texts(args, "env"), call_id)

        def keep(data: bytes) -> None:
            captured.add(data)
            running.shown.add(data)

        pipe = PipeReader(process.output, keep, asyncio.get_event_loop())
        try:
            await self._until_ended(process, running, timeout, strain)
        finally:
            pipe.finish()
            running.tell()
            captured.close()
            self._processes.finished(process)
        status = process.ended.result() if process.ended.done() else None
        exit_code = exit_code_of(status) if status is not None and running.cause is None else None
        kills_after = oom_kills()
        if running.cause is None and kills_before is not None and (kills_after or 0) > kills_before:
            running.cause = "out of memory"
        elif exit_code is not None and exit_code < 0:
            running.cause = f"killed by signal {-exit_code}"
        return {
            "exit_code": 128 - exit_code if exit_code is not None and exit_code < 0 else exit_code,
            "output": captured.text(),
            "total_bytes": captured.total_bytes,
            "spilled_path": captured.spilled_path,
            "timed_out": running.timed_out,
            "cancelled": running.cancelled,
            "duration_seconds": round(time.monotonic() - started, 6),
            "cause": running.cause,
            "strained": strain.seen(running.timed_out, time.monotonic() - started),
        }

    async def _until_ended(
        self, process: Process, running: RunningCommand, timeout: float, strain: Strain
    ) -> None:
        loop = asyncio.get_event_loop()
        limits = self._limits.watch(lambda cause: running.end(cause), self._processes.end_strays)
        watchers = [loop.create_task(limits), loop.create_task(strain.watch())]
        if running.listeners:
            watchers.append(loop.create_task(_show(running)))
        alarm = loop.call_later(
            timeout, lambda: running.end(f"timed out after {timeout:g} s", timed_out=True)
        )
        stop = loop.create_task(running.stop.wait())
        try:
            ends: list[asyncio.Future[Any]] = [process.ended, stop]
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            if not process.ended.done():
                strain.before_the_end({process.pid} | descendants(process_table(), {process.pid}))
                await self._processes.kill_tree(process)
            elif running.stop.is_set():
                running.cause, running.cancelled, running.timed_out = None, False, False
        finally:
            alarm.cancel()
            for task in [stop, *watchers]:
                task.cancel()


async def _show(running: RunningCommand) -> None:
    while True:
        await asyncio.sleep(SHOW_SECONDS)
        running.tell()


def interrupted() -> Result:
    """What is known of a command whose runner died with it."""
    return {
        "exit_code": None,
        "output": "",
        "total_bytes": 0,
        "spilled_path": None,
        "timed_out": False,
        "cancelled": False,
        "duration_seconds": 0.0,
        "interrupted": True,
        "cause": "interrupted: the box ended while this ran, and how far it came is not known",
    }
