"""Every operation by name, and the journal around those that change something."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from typing import Awaitable, Callable, Union

from . import VERSION
from .arguments import Args, Result, text
from .background import Background
from .checkpoint import Checkpoints
from .execute import Execution, Listener, RunningCommand, interrupted
from .files import Files
from .journal import Journal
from .limits import Limits
from .measure import cgroup_memory_bytes, disk_bytes, oom_kills, resident_bytes
from .places import Places
from .process_table import process_table
from .processes import Processes
from .refusal import Failed, Refused
from .search import Search

Operation = Callable[[Args], Union[Result, Awaitable[Result]]]
Change = Callable[[str, Args], Awaitable[Result]]


class Operations:
    """What the box can be asked. `perform` is the one door to it."""

    def __init__(
        self, box: str, processes: Processes, places: Places, limits: Limits, journal: Journal
    ) -> None:
        self._box = box
        self._places = places
        self._journal = journal
        self._execution = Execution(processes, places, limits)
        self._files = Files(places)
        self._under_way: dict[str, asyncio.Task[Result]] = {}
        self._started = time.monotonic()
        background, search = Background(processes, places, limits), Search(processes, places)
        self._plain: dict[str, Operation] = {
            "ping": self._ping,
            "stats": self._stats,
            "cancel": self._cancel,
            "read_file": self._files.read_file,
            "read_bytes": self._files.read_bytes,
            "grep": search.grep,
            "glob": search.glob,
            "background_status": background.status,
            "background_output": background.output,
            "background_stop": background.stop,
            "checkpoint": Checkpoints(processes, places).take,
        }
        self._changes: dict[str, Change] = {
            "exec": self._execution.run,
            "background_start": background.start,
            "write_file": self._write_file,
            "edit_file": self._edit_file,
        }

    async def perform(self, operation: str, args: Args, listener: Listener | None) -> Result:
        """The operation's result; `listener` gets a command's output meanwhile. Raises: Refused, Failed."""
        if operation in self._changes:
            return await self._once(operation, args, listener)
        if operation not in self._plain:
            raise Refused(f"there is no operation {operation!r}")
        result = self._plain[operation](args)
        return result if isinstance(result, dict) else await result

    async def _once(self, operation: str, args: Args, listener: Listener | None) -> Result:
        """Done, or joined while it is under way, or answered from the journal."""
        call_id = text(args, "call_id")
        entry = self._journal.find(call_id, operation, args)
        task = self._under_way.get(call_id)
        if task is None and entry is not None:
            return {**(entry.result or _lost(operation)), "replayed": True}
        if task is None:
            self._journal.begin(call_id, operation, args)
            task = asyncio.get_event_loop().create_task(self._journalled(call_id, operation, args))
            self._under_way[call_id] = task
            if operation == "exec":
                self._execution.running[call_id] = RunningCommand()
        if listener is not None and call_id in self._execution.running:
            self._execution.running[call_id].listeners.append(listener)
        # Shielded: whoever asked may go away, what was begun is brought to its end.
        return {**await asyncio.shield(task), "replayed": entry is not None}

    async def _journalled(self, call_id: str, operation: str, args: Args) -> Result:
        try:
            result = await self._changes[operation](call_id, args)
            try:
                self._journal.finish(call_id, operation, args, result)
            except OSError:
                # The disk is full. Who waits is told all the same; who asks again hears that it is not known.
                pass
            return result
        except (Refused, Failed):
            self._journal.forget(call_id)
            raise
        finally:
            del self._under_way[call_id]
            self._execution.running.pop(call_id, None)

    async def _cancel(self, args: Args) -> Result:
        call_id = text(args, "call_id")
        running, task = self._execution.running.get(call_id), self._under_way.get(call_id)
        if running is None or task is None:
            return {"was_running": False}
        running.end("cancelled", cancelled=True)
        await asyncio.wait([task])
        return {"was_running": True}

    async def _write_file(self, call_id: str, args: Args) -> Result:
        return self._files.write_file(args)

    async def _edit_file(self, call_id: str, args: Args) -> Result:
        return self._files.edit_file(args)

    def _ping(self, args: Args) -> Result:
        return {
            "version": VERSION,
            "pid": os.getpid(),
            "python": ".".join(map(str, sys.version_info[:3])),
            "box": self._box,
        }

    async def _stats(self, args: Args) -> Result:
        memory = cgroup_memory_bytes()
        return {
            "processes": len(process_table()),
            "memory_bytes": resident_bytes() if memory is None else memory,
            "oom_kills": oom_kills(),
            "workspace_bytes": await disk_bytes(self._places.workspace),
            "uptime_seconds": time.monotonic() - self._started,
        }


def _lost(operation: str) -> Result:
    if operation == "exec":
        return interrupted()
    raise Failed(f"the box ended during this {operation}, and whether it was done is not known: look first")
