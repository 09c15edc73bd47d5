"""Running git on the host: one clean environment, bare repositories only, bounded in time and output."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

MEBIBYTE = 1024 * 1024
STDERR_LIMIT_BYTES = 64 * 1024
CHUNK_BYTES = 64 * 1024
END_SECONDS = 10.0

# A proxy or a company's own certificates are the host's business; nothing else of its environment is git's.
TRANSPORT_VARIABLES = (
    "HTTPS_PROXY",
    "https_proxy",
    "HTTP_PROXY",
    "http_proxy",
    "NO_PROXY",
    "no_proxy",
    "GIT_SSL_CAINFO",
    "SSL_CERT_FILE",
)


def megabytes(size_bytes: int) -> str:
    """The size as people read it."""
    return f"{size_bytes / MEBIBYTE:.3g} MB"


class GitFailed(Exception):
    """A git command ended badly. `command` is its first words, `stderr` the end of what it said."""

    def __init__(self, command: str, returncode: int | None, stderr: str) -> None:
        super().__init__(f"git {command} failed ({returncode}): {stderr.strip() or 'it said nothing'}")
        self.command = command
        self.returncode = returncode
        self.stderr = stderr


class GitTimeout(GitFailed):
    """A git command was still running at its time limit and was killed."""


class GitOutputTooLarge(GitFailed):
    """A git command wrote more than it may and was killed."""


@dataclass(frozen=True, slots=True)
class GitResult:
    """What a git command wrote and its exit code; `truncated` if it was cut at the limit, as allowed."""

    stdout: bytes
    returncode: int = 0
    truncated: bool = False

    @property
    def succeeded(self) -> bool:
        """Whether it ended with 0, where the caller accepts other codes too."""
        return self.returncode == 0

    @property
    def text(self) -> str:
        """The output as text; undecodable bytes survive a round trip by surrogate escape."""
        return self.stdout.decode("utf-8", "surrogateescape").strip()


def clean_environment(config: Mapping[str, str], *, network: bool = False) -> dict[str, str]:
    """The whole environment a host git runs in.

    `config` goes in as GIT_CONFIG_*, so that no secret shows in argv.

    Source: git-config(1), ENVIRONMENT; git(1), GIT_NO_REPLACE_OBJECTS.
    """
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": "/nonexistent",
        "LC_ALL": "C.UTF-8",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "/bin/false",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_CONFIG_COUNT": str(len(config)),
    }
    for number, (key, value) in enumerate(config.items()):
        environment[f"GIT_CONFIG_KEY_{number}"] = key
        environment[f"GIT_CONFIG_VALUE_{number}"] = value
    if network:
        environment |= {name: os.environ[name] for name in TRANSPORT_VARIABLES if name in os.environ}
    return environment


# What a repository's own config could otherwise switch on, and protocols closed unless a caller opens one.
SAFE_CONFIG: Mapping[str, str] = {
    "core.hooksPath": os.devnull,
    "core.fsmonitor": "false",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "protocol.allow": "never",
    "submodule.recurse": "false",
}


async def run_git(
    git_dir: Path | None,
    *arguments: str,
    config: Mapping[str, str] | None = None,
    variables: Mapping[str, str] | None = None,
    protocols: Iterable[str] = (),
    stdin: bytes | BinaryIO = b"",
    timeout_seconds: float = 120.0,
    max_output_bytes: int = 64 * MEBIBYTE,
    truncate: bool = False,
    accept: tuple[int, ...] = (0,),
) -> GitResult:
    """What git wrote, run on the bare repository `git_dir` (None: on none).

    `protocols` are the transports this command may use (`file`, `https`, `http`); `variables` adds to the
    environment (author names and the like); `stdin` is bytes, or a file to be read on from where it stands;
    `accept` lists the exit codes that are answers, not failures.

    Raises: `GitFailed` on another exit code, `GitTimeout`, `GitOutputTooLarge` (unless `truncate`).
    """
    open_protocols = {f"protocol.{name}.allow": "always" for name in protocols}
    environment = clean_environment(
        {**SAFE_CONFIG, **open_protocols, **(config or {})}, network=bool(open_protocols)
    )
    environment.update(variables or {})
    command = ["git", *([f"--git-dir={git_dir}"] if git_dir else []), *arguments]
    given = asyncio.subprocess.PIPE if isinstance(stdin, bytes) else stdin
    process = await _started(command, environment, given, asyncio.subprocess.PIPE)
    name = " ".join(arguments[:2])
    try:
        async with asyncio.timeout(timeout_seconds):
            output, (stderr, _), _ = await asyncio.gather(
                _read_output(process, max_output_bytes),
                _read_capped(process.stderr, STDERR_LIMIT_BYTES),
                _feed(process.stdin, stdin),
            )
            returncode = await process.wait()
    except TimeoutError:
        raise GitTimeout(name, None, f"still running after {timeout_seconds:g} s, killed") from None
    finally:
        await _kill(process, process.stdout, process.stderr)
    stdout, overflowed = output
    if overflowed and not truncate:
        raise GitOutputTooLarge(name, returncode, f"wrote more than {max_output_bytes} bytes")
    if not overflowed and returncode not in accept:
        raise GitFailed(name, returncode, stderr.decode("utf-8", "replace"))
    return GitResult(stdout, returncode, truncated=overflowed)


async def init_bare(path: Path) -> None:
    """A new bare repository at `path`: all of it or nothing, also on a disk that is full. One at a time.

    What is there without being one is replaced. Raises: `GitFailed`, OSError.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    made = path.with_name(f"{path.name}.new")
    for leftover in (made, path):
        await asyncio.to_thread(shutil.rmtree, leftover, ignore_errors=True)
    await run_git(None, "init", "--quiet", "--bare", "--template=", str(made))
    made.rename(path)


@asynccontextmanager
async def running_git(
    git_dir: Path,
    *arguments: str,
    config: Mapping[str, str],
    variables: Mapping[str, str],
    timeout_seconds: float,
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A git command with open pipes, for what is too large to be held: its end is the end of the context.

    After `timeout_seconds` it is told to end, and killed where it does not, whoever waits for it. What it
    says on stderr is dropped.
    """
    process = await _started(
        ["git", *arguments, str(git_dir)],
        {**clean_environment({**SAFE_CONFIG, **config}), **variables},
        asyncio.subprocess.PIPE,
        asyncio.subprocess.DEVNULL,
    )
    later = asyncio.get_running_loop().call_later
    ending = [
        later(timeout_seconds, _tell_group, process, signal.SIGTERM),
        later(timeout_seconds + END_SECONDS, _tell_group, process, signal.SIGKILL),
    ]
    try:
        yield process
    finally:
        for step in ending:
            step.cancel()
        await _kill(process, process.stdout)


async def _started(
    command: Sequence[str], environment: Mapping[str, str], stdin: int | BinaryIO, stderr: int
) -> asyncio.subprocess.Process:
    """The process, whose group is its own. Whoever is cancelled meanwhile leaves none behind: asyncio would
    kill it alone, with its locks in place, and wait for what it had started."""
    starting = asyncio.ensure_future(
        asyncio.create_subprocess_exec(
            *command,
            stdin=stdin,
            stdout=asyncio.subprocess.PIPE,
            stderr=stderr,
            cwd="/",
            env=environment,
            start_new_session=True,
        )
    )
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        process = await starting
        await _kill(process, process.stdout, process.stderr)
        raise


async def _read_output(process: asyncio.subprocess.Process, limit: int) -> tuple[bytes, bool]:
    stdout, overflowed = await _read_capped(process.stdout, limit, stop=True)
    if overflowed:
        await _kill(process, process.stdout)
    return stdout, overflowed


async def _read_capped(
    stream: asyncio.StreamReader | None, limit: int, *, stop: bool = False
) -> tuple[bytes, bool]:
    """Up to `limit` bytes and whether there were more; the rest is drained unless `stop`."""
    assert stream is not None
    kept = bytearray()
    overflowed = False
    while chunk := await stream.read(CHUNK_BYTES):
        room = limit - len(kept)
        kept += chunk[:room]
        overflowed = overflowed or len(chunk) > room
        if overflowed and stop:
            break
    return bytes(kept), overflowed


async def _feed(stream: asyncio.StreamWriter | None, data: bytes | BinaryIO) -> None:
    if stream is None or not isinstance(data, bytes):
        return  # git reads the file by itself
    # git may end without reading all of it; its exit code tells the story.
    with suppress(BrokenPipeError, ConnectionResetError):
        stream.write(data)
        await stream.drain()
    stream.close()
    with suppress(BrokenPipeError, ConnectionResetError):
        await stream.wait_closed()


async def _kill(process: asyncio.subprocess.Process, *unread: asyncio.StreamReader | None) -> None:
    """It has ended, by force where it does not heed. Killed at once it would leave its locks, and all that is
    written to the repository later would fail. `unread`: what nobody else reads of it."""
    if process.returncode is None:
        _tell_group(process, signal.SIGTERM)
    ended = asyncio.ensure_future(_over(process, unread))
    try:
        # It may be over while something that it started holds its pipes: that has to end too.
        await asyncio.wait([ended], timeout=END_SECONDS)
    finally:
        if not ended.done():
            _tell_group(process, signal.SIGKILL)
    await ended


async def _over(process: asyncio.subprocess.Process, unread: Iterable[asyncio.StreamReader | None]) -> None:
    # asyncio takes no process for over whose output is still to be read.
    for stream in unread:
        while stream is not None and await stream.read(CHUNK_BYTES):
            pass
    await process.wait()


def _tell_group(process: asyncio.subprocess.Process, how: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, how)
