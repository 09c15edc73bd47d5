"""The host's side of the runner: typed calls into one box."""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
from collections.abc import Mapping
from pathlib import Path

from sandbox.environments.runner_connection import ConnectionLost, OnOutput, RunnerConnection, connect
from sandbox.environments.runner_results import (
    BackgroundOutput,
    BackgroundStatus,
    BoxStats,
    ByteSlice,
    Checkpoint,
    EditResult,
    ExecResult,
    FileSlice,
    Frame,
    GlobResult,
    GrepResult,
    RunnerError,
    RunnerGone,
    RunnerInfo,
    ToolRefused,
    WriteResult,
    flag_of,
    int_of,
    optional_int_of,
    optional_text_of,
    seconds_of,
    text_of,
    texts_of,
)

__all__ = [
    "BackgroundOutput",
    "BackgroundStatus",
    "BoxStats",
    "ByteSlice",
    "Checkpoint",
    "EditResult",
    "ExecResult",
    "FileSlice",
    "GlobResult",
    "GrepResult",
    "OnOutput",
    "RunnerClient",
    "RunnerError",
    "RunnerGone",
    "RunnerInfo",
    "ToolRefused",
    "WriteResult",
]

CANCEL_SECONDS = 5.0
MOST_SENDS = 3
POLL_SECONDS = 0.005
ANSWER_SECONDS = 60.0
LONG_ANSWER_SECONDS = 300.0


class RunnerClient:
    """Calls into the box behind `socket_path`; connects when first used, and again after a cut.

    Every path is relative to the workspace (or absolute inside it). A call that changes something carries
    a `call_id`, unique in the box for ever: the same id again returns the recorded result and does not
    run twice; while it still runs it is joined. `reconnect_seconds` is how long a cut connection is tried
    again before `RunnerGone`. A client stays with the box it met first: should another one take its place
    behind the same path, calls raise `RunnerGone` and nothing is repeated there.

    Raises (every method): RunnerGone, ToolRefused, RunnerError.
    """

    def __init__(self, socket_path: Path, *, reconnect_seconds: float = 1.0) -> None:
        self.socket_path = socket_path
        self._reconnect_seconds = reconnect_seconds
        self._connection: RunnerConnection | None = None
        self._connecting = asyncio.Lock()
        self._box: str | None = None

    async def exec(
        self,
        call_id: str,
        command: str,
        *,
        timeout_seconds: float,
        workdir: str | None = None,
        env: Mapping[str, str] | None = None,
        on_output: OnOutput | None = None,
    ) -> ExecResult:
        """The end of `command` in a fresh shell, with its output; `on_output` sees text while it runs.

        It returns when the shell exits, whatever still holds its pipes. `workdir` None is the workspace.
        Cancelling the awaiting task ends the command's whole process tree in the box.
        """
        args: Frame = {
            "call_id": call_id,
            "command": command,
            "timeout_seconds": timeout_seconds,
            "workdir": workdir,
            "env": dict(env or {}),
            "stream": on_output is not None,
        }
        try:
            frame = await self._call("exec", args, timeout_seconds + ANSWER_SECONDS, on_output)
        except asyncio.CancelledError:
            # CancelledError is on its way out anyway: a box that is gone has nothing left to cancel.
            with contextlib.suppress(RunnerError, TimeoutError):
                await asyncio.wait_for(self.cancel(call_id), CANCEL_SECONDS)
            raise
        return ExecResult(
            exit_code=optional_int_of(frame, "exit_code"),
            output=text_of(frame, "output"),
            total_bytes=int_of(frame, "total_bytes"),
            spilled_path=optional_text_of(frame, "spilled_path"),
            timed_out=flag_of(frame, "timed_out"),
            cancelled=flag_of(frame, "cancelled"),
            duration_seconds=seconds_of(frame, "duration_seconds"),
            replayed=flag_of(frame, "replayed"),
            cause=optional_text_of(frame, "cause"),
            # A box that is older than this program does not look.
            strained=texts_of(frame, "strained") if "strained" in frame else (),
            interrupted=flag_of(frame, "interrupted"),
        )

    async def cancel(self, call_id: str) -> bool:
        """True when the call was running; its processes are gone when this returns."""
        return flag_of(await self._call("cancel", {"call_id": call_id}), "was_running")

    async def read_file(self, path: str, offset: int = 1, limit: int = 2000) -> FileSlice:
        """At most `limit` lines of a text file from line `offset` (the first is 1)."""
        frame = await self._call("read_file", {"path": path, "offset": offset, "limit": limit})
        return FileSlice(
            path=text_of(frame, "path"),
            text=text_of(frame, "text"),
            first_line=int_of(frame, "first_line"),
            last_line=int_of(frame, "last_line"),
            total_lines=int_of(frame, "total_lines"),
            truncated=flag_of(frame, "truncated"),
        )

    async def read_bytes(self, path: str, offset: int = 0, limit: int = 1024 * 1024) -> ByteSlice:
        """At most `limit` bytes (up to 8 MiB) of a file from `offset`."""
        frame = await self._call("read_bytes", {"path": path, "offset": offset, "limit": limit})
        try:
            data = base64.b64decode(text_of(frame, "data"), validate=True)
        except binascii.Error as error:
            raise RunnerError(f"{path}: the runner sent bytes that cannot be decoded") from error
        return ByteSlice(data, int_of(frame, "offset"), int_of(frame, "total_bytes"))

    async def write_file(self, call_id: str, path: str, content: str | bytes) -> WriteResult:
        """The file has `content`; parent directories are made."""
        data = content.encode() if isinstance(content, str) else content
        args = {"call_id": call_id, "path": path, "data": base64.b64encode(data).decode()}
        frame = await self._call("write_file", args)
        return WriteResult(
            path=text_of(frame, "path"),
            bytes_written=int_of(frame, "bytes_written"),
            created=flag_of(frame, "created"),
            replayed=flag_of(frame, "replayed"),
        )

    async def edit_file(
        self, call_id: str, path: str, old: str, new: str, replace_all: bool = False
    ) -> EditResult:
        """`old` is replaced by `new`: found exactly, else but for trailing whitespace, else for indentation.

        Raises: ToolRefused when there is no match (the message shows the nearest lines) or several.
        """
        args = {"call_id": call_id, "path": path, "old": old, "new": new, "replace_all": replace_all}
        frame = await self._call("edit_file", args)
        return EditResult(
            path=text_of(frame, "path"),
            replacements=int_of(frame, "replacements"),
            matched_by=text_of(frame, "matched_by"),
            diff=text_of(frame, "diff"),
            replayed=flag_of(frame, "replayed"),
        )

    async def grep(
        self,
        pattern: str,
        *,
        path: str = ".",
        glob: str | None = None,
        ignore_case: bool = False,
        limit: int = 200,
    ) -> GrepResult:
        """Lines that match the regular expression, ignored files left out. `glob` narrows by file name."""
        args = {"pattern": pattern, "path": path, "glob": glob, "ignore_case": ignore_case, "limit": limit}
        frame = await self._call("grep", args)
        return GrepResult(texts_of(frame, "lines"), flag_of(frame, "truncated"))

    async def glob(self, pattern: str, *, path: str = ".", limit: int = 500) -> GlobResult:
        """Files whose path matches (`**` crosses directories), ignored files left out."""
        frame = await self._call("glob", {"pattern": pattern, "path": path, "limit": limit})
        return GlobResult(texts_of(frame, "paths"), flag_of(frame, "truncated"))

    async def background_start(
        self,
        call_id: str,
        command: str,
        *,
        workdir: str | None = None,
        env: Mapping[str, str] | None = None,
    ) -> BackgroundStatus:
        """A command that goes on after this returns; `job_id` names it from here on."""
        args = {"call_id": call_id, "command": command, "workdir": workdir, "env": dict(env or {})}
        return _background_status(await self._call("background_start", args))

    async def background_status(self, job_id: str) -> BackgroundStatus:
        """Whether the job runs, and how it ended."""
        return _background_status(await self._call("background_status", {"job_id": job_id}))

    async def background_output(
        self, job_id: str, offset: int = 0, limit: int = 50 * 1024
    ) -> BackgroundOutput:
        """What the job wrote from byte `offset` on, at most `limit` bytes."""
        frame = await self._call("background_output", {"job_id": job_id, "offset": offset, "limit": limit})
        return BackgroundOutput(
            job_id=text_of(frame, "job_id"),
            text=text_of(frame, "text"),
            offset=int_of(frame, "offset"),
            next_offset=int_of(frame, "next_offset"),
            running=flag_of(frame, "running"),
        )

    async def background_stop(self, job_id: str) -> BackgroundStatus:
        """The job's process tree is gone."""
        return _background_status(await self._call("background_stop", {"job_id": job_id}))

    async def checkpoint(
        self, message: str, *, author_name: str, author_email: str, workdir: str | None = None
    ) -> Checkpoint:
        """A commit object of the whole workspace, untracked files too; index, HEAD and branches untouched.

        `workdir` is the repository's directory, None the workspace itself.
        """
        args = {
            "message": message,
            "author_name": author_name,
            "author_email": author_email,
            "workdir": workdir,
        }
        frame = await self._call("checkpoint", args, LONG_ANSWER_SECONDS)
        return Checkpoint(text_of(frame, "commit"), text_of(frame, "tree"), optional_text_of(frame, "head"))

    async def stats(self) -> BoxStats:
        """Processes, memory, out-of-memory kills and disk use of the box now."""
        frame = await self._call("stats", {})
        return BoxStats(
            processes=int_of(frame, "processes"),
            memory_bytes=optional_int_of(frame, "memory_bytes"),
            oom_kills=optional_int_of(frame, "oom_kills"),
            workspace_bytes=int_of(frame, "workspace_bytes"),
            uptime_seconds=seconds_of(frame, "uptime_seconds"),
        )

    async def ping(self) -> RunnerInfo:
        """Who answers; the cheapest call there is."""
        frame = await self._call("ping", {})
        return _runner_info(frame)

    async def aclose(self) -> None:
        """The connection is closed; what runs in the box goes on."""
        if self._connection is not None:
            await self._connection.aclose()
            self._connection = None

    async def _call(
        self, op: str, args: Frame, answer_seconds: float = ANSWER_SECONDS, on_output: OnOutput | None = None
    ) -> Frame:
        # Sent again after a cut: reading twice does no harm, and the journal knows a changing call by its id.
        try:
            async with asyncio.timeout(answer_seconds):
                for _ in range(MOST_SENDS):
                    connection = await self._connected()
                    with contextlib.suppress(ConnectionLost):
                        return await connection.request(op, args, on_output)
        except TimeoutError as error:
            raise RunnerGone(f"the box did not answer {op} within {answer_seconds:.0f} s") from error
        raise RunnerGone(f"the box cut the connection {MOST_SENDS} times during {op}")

    async def _connected(self) -> RunnerConnection:
        async with self._connecting:
            if self._connection is None or self._connection.lost:
                await self.aclose()
                self._connection = await self._connect_within()
            return self._connection

    async def _connect_within(self) -> RunnerConnection:
        deadline = asyncio.get_running_loop().time() + self._reconnect_seconds
        while True:
            try:
                return await self._connect_to_same_box()
            except ConnectionLost as error:
                if asyncio.get_running_loop().time() >= deadline:
                    raise RunnerGone(f"the box does not answer ({error})") from error
            await asyncio.sleep(POLL_SECONDS)

    async def _connect_to_same_box(self) -> RunnerConnection:
        connection = await connect(self.socket_path)
        try:
            met = _runner_info(await connection.request("ping", {})).box
            if self._box not in (None, met):
                raise RunnerGone("another box has taken this one's place")
        except BaseException:
            await connection.aclose()
            raise
        self._box = met
        return connection


def _runner_info(frame: Frame) -> RunnerInfo:
    return RunnerInfo(
        version=int_of(frame, "version"),
        pid=int_of(frame, "pid"),
        python=text_of(frame, "python"),
        box=text_of(frame, "box"),
    )


def _background_status(frame: Frame) -> BackgroundStatus:
    return BackgroundStatus(
        job_id=text_of(frame, "job_id"),
        command=text_of(frame, "command"),
        running=flag_of(frame, "running"),
        exit_code=optional_int_of(frame, "exit_code"),
        total_bytes=int_of(frame, "total_bytes"),
        age_seconds=seconds_of(frame, "age_seconds"),
        cause=optional_text_of(frame, "cause"),
    )
