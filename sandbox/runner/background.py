"""Commands that go on beside the calls: servers, watchers, long builds."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from typing import BinaryIO

from .arguments import Args, Result, optional_text, text, texts, whole
from .limits import Limits
from .output import PipeReader
from .places import Places
from .processes import Process, Processes, exit_code_of
from .refusal import Refused

KEPT_OUTPUT_BYTES = 64 * 1024 * 1024
# A server has connections to close, a database its files, and on a busy machine each takes a while.
GENTLE_SECONDS = 5.0


class Job:
    """One such command; its output goes to a file."""

    def __init__(self, job_id: str, command: str, process: Process, log: BinaryIO) -> None:
        self.job_id = job_id
        self.command = command
        self.process = process
        self.log = log
        self.total_bytes = 0
        self.started = time.monotonic()
        self.ending: asyncio.Task[None] | None = None
        self.cause: str | None = None

    def keep(self, data: bytes) -> None:
        kept = data[: max(0, KEPT_OUTPUT_BYTES - self.total_bytes)]
        self.total_bytes += len(data)
        self.log.write(kept)

    def status(self) -> Result:
        ended = self.process.ended.done()
        code: int | None = None
        if ended and self.cause is None:
            code = exit_code_of(self.process.ended.result())
        return {
            "job_id": self.job_id,
            "command": self.command,
            "running": not ended,
            "exit_code": 128 - code if code is not None and code < 0 else code,
            "total_bytes": self.total_bytes,
            "age_seconds": time.monotonic() - self.started,
            "cause": self.cause,
        }


class Background:
    """The box's jobs by id."""

    def __init__(self, processes: Processes, places: Places, limits: Limits) -> None:
        self._processes = processes
        self._places = places
        self._limits = limits
        self._jobs: dict[str, Job] = {}

    async def start(self, call_id: str, args: Args) -> Result:
        """The started job. Raises: Refused, Failed."""
        command, directory = text(args, "command"), self._places.directory(optional_text(args, "workdir"))
        job_id = f"job-{len(self._jobs) + 1}-{os.urandom(3).hex()}"
        process = await self._processes.start_for_long(command, directory, texts(args, "env"), call_id)
        path = self._places.spill_path(job_id)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        # Unbuffered: what was written can be read at once.
        log = open(path, "wb", buffering=0)  # noqa: SIM115 - closed when the process has ended
        job = Job(job_id, command, process, log)
        pipe = PipeReader(process.output, job.keep, asyncio.get_event_loop())

        def over(cause: str) -> None:
            if job.cause is None:
                job.cause = cause
                job.ending = asyncio.get_event_loop().create_task(self._processes.kill_tree(process))

        watcher = asyncio.get_event_loop().create_task(self._limits.watch(over, self._processes.end_strays))

        def close(_: asyncio.Future[int]) -> None:
            watcher.cancel()
            pipe.finish()
            log.close()
            self._processes.finished(process)

        process.ended.add_done_callback(close)
        self._jobs[job_id] = job
        return job.status()

    def status(self, args: Args) -> Result:
        return self._job(args).status()

    def output(self, args: Args) -> Result:
        """A part of what the job wrote. Raises: Refused."""
        job = self._job(args)
        offset, limit = whole(args, "offset", 0), whole(args, "limit", 50 * 1024, 1, 1024 * 1024)
        with open(self._places.spill_path(job.job_id), "rb") as file:
            file.seek(offset)
            data = file.read(limit)
        return {
            "job_id": job.job_id,
            "text": data.decode("utf-8", "replace"),
            "offset": offset,
            "next_offset": offset + len(data),
            "running": not job.process.ended.done(),
        }

    async def stop(self, args: Args) -> Result:
        """The job asked to end, then ended with everything below it. Raises: Refused."""
        job = self._job(args)
        if not job.process.ended.done():
            job.cause = "stopped"
            os.killpg(job.process.pid, signal.SIGTERM)
            await asyncio.wait([job.process.ended], timeout=GENTLE_SECONDS)
        await self._processes.kill_tree(job.process)
        return job.status()

    def _job(self, args: Args) -> Job:
        job_id = text(args, "job_id")
        if job_id not in self._jobs:
            raise Refused(f"there is no background job {job_id} (jobs end when the box is restarted)")
        return self._jobs[job_id]
