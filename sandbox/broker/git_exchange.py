"""git's own programs at work for a box: what they may show, what they may take, and for how long."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal
from uuid import uuid4

from sandbox.broker import git_packets
from sandbox.broker.box_view import NAMESPACE
from sandbox.broker.git import CHUNK_BYTES, MEBIBYTE, GitFailed, megabytes, run_git, running_git
from sandbox.broker.git_packets import BadRequest
from sandbox.broker.pre_receive import PushReport, PushRules, install_hook
from sandbox.broker.quarantine import QuarantineLimits
from sandbox.holds import refusal
from session.vocabulary import Hold

Tell = Callable[[str, Sequence[Hold]], Awaitable[None]]
"""Tells people of a session (its id) what kept a push from being taken."""

Service = Literal["git-upload-pack", "git-receive-pack"]
VERSION_2 = "version=2"
FETCH_SECONDS = 1800.0
PUSH_SECONDS = 600.0
MAX_COMMANDS_BYTES = MEBIBYTE
MAX_REPORT_BYTES = MEBIBYTE
# What git says: gitprotocol-pack(5), "report-status", and index-pack over receive.maxInputSize.
UNPACKED, UNPACKED_WELL, OVER_LIMIT = b"unpack ", b"unpack ok\n", b"pack exceeds maximum allowed size"
FULL = "This session has pushed more than is kept for it; open the pull request with what is there."
UNSOUND = "A push did not pass git's own checks; build its commits with git alone."
NOT_TAKEN = "The push was not taken: it is damaged, or it took too long. Push less at once."

# Only what the view shows exists: no other ref, no object by its id alone, nothing of the mirror's own refs.
_SHOWN = {
    "transfer.hideRefs": "^refs/",
    "uploadpack.hideRefs": f"!^refs/namespaces/{NAMESPACE}/",
    "receive.hideRefs": f"!^refs/namespaces/{NAMESPACE}/",
    "core.alternateRefsCommand": "true",
    "uploadpack.allowAnySHA1InWant": "false",
    "uploadpack.allowFilter": "false",
    "uploadpack.allowRefInWant": "false",
    "pack.windowMemory": "256m",
}


class PushGate:
    """How pushes are taken. `hooks` is a directory that only the broker may write."""

    def __init__(self, hooks: Path, limits: QuarantineLimits, tell: Tell) -> None:
        self._hooks = hooks
        self._limits = limits
        self._tell = tell

    async def check(self) -> None:
        """See that pushes are looked at: without its hook git takes everything. Raises: GitFailed."""
        try:
            await asyncio.to_thread(install_hook, self._hooks)
        except OSError as error:
            raise GitFailed("receive-pack", None, f"no push can be looked through: {error}") from error

    async def take(
        self, quarantine: Path, session_id: str, protected: tuple[str, ...], body: AsyncIterator[bytes]
    ) -> AsyncGenerator[bytes, None]:
        """What git says to a push, once all of it is read. People are told before the answer ends."""
        report = self._hooks / f"report-{uuid4().hex}"
        rules = PushRules(
            session_id=session_id,
            repository=str(quarantine),
            report=str(report),
            protected=protected,
            max_commits=self._limits.commits,
            max_file_bytes=self._limits.file_bytes,
        )
        most = self._limits.bundle_bytes + MAX_COMMANDS_BYTES
        if await asyncio.to_thread(_stored_bytes, quarantine) > self._limits.kept_bytes:
            await _skip(body, most)
            await self._tell(session_id, [refusal("handover", FULL)])
            yield git_packets.fatal_packet(FULL)
            return
        try:
            async with running_git(
                quarantine, "receive-pack", "--stateless-rpc",
                config=self._config(), variables={**_variables(""), **rules.variables()},
                timeout_seconds=PUSH_SECONDS,
            ) as process:  # fmt: skip
                async for piece in self._answer(process, session_id, body, most):
                    yield piece
            await self._tell(session_id, await asyncio.to_thread(_reported, report))
        finally:
            report.unlink(missing_ok=True)

    async def _answer(
        self, process: asyncio.subprocess.Process, session_id: str, body: AsyncIterator[bytes], most: int
    ) -> AsyncGenerator[bytes, None]:
        try:
            too_large = await _feed(process, body, most)
        except BadRequest as error:
            yield git_packets.fatal_packet(str(error))
            return
        if too_large:
            yield git_packets.progress_packet(self._too_large)
        said = bytearray()
        async for piece in _output(process):
            said += piece[: MAX_REPORT_BYTES - len(said)]
            yield piece
        silent = not said and await process.wait() != 0
        if silent:
            yield git_packets.fatal_packet(NOT_TAKEN)
        if too_large or OVER_LIMIT in said:
            await self._tell(session_id, [refusal("handover", self._too_large)])
        elif silent or (UNPACKED in said and UNPACKED_WELL not in said):
            await self._tell(session_id, [refusal("handover", NOT_TAKEN if silent else UNSOUND)])

    @property
    def _too_large(self) -> str:
        most = megabytes(self._limits.bundle_bytes)
        return f"A push may have no more than {most}; push fewer or smaller files."

    def _config(self) -> dict[str, str]:
        return {
            **_SHOWN,
            "core.hooksPath": str(self._hooks),
            "receive.fsckObjects": "true",
            "transfer.fsckObjects": "true",
            "receive.maxInputSize": str(self._limits.bundle_bytes),
            "receive.denyDeletes": "true",
            "receive.denyNonFastForwards": "false",
            "receive.autogc": "false",
            "receive.advertisePushOptions": "false",
            "core.bigFileThreshold": "16m",
        }


async def advertised(quarantine: Path, service: Service, version: str) -> bytes:
    """What a box reads first: the refs it is shown, or what version 2 can do. Raises: GitFailed."""
    listed = await run_git(
        None, service.removeprefix("git-"), "--stateless-rpc", "--advertise-refs", str(quarantine),
        config=_SHOWN, variables=_variables(version),
    )  # fmt: skip
    # Version 2 begins with a line of its own; the older ones with the service's name.
    named = git_packets.packet(f"# service={service}\n".encode()) + git_packets.FLUSH
    return listed.stdout if version == VERSION_2 else named + listed.stdout


async def fetched(quarantine: Path, asked: bytes, version: str) -> AsyncGenerator[bytes, None]:
    """git's answer to one request of a fetch."""
    async with running_git(
        quarantine, "upload-pack", "--stateless-rpc",
        config=_SHOWN, variables=_variables(version), timeout_seconds=FETCH_SECONDS,
    ) as process:  # fmt: skip
        # All of it is at hand, so git may answer while it is still reading.
        feeding = asyncio.create_task(_feed(process, once(asked), len(asked)))
        try:
            async for piece in _output(process):
                yield piece
            await feeding
        finally:
            feeding.cancel()
            await asyncio.gather(feeding, return_exceptions=True)


async def once(content: bytes) -> AsyncIterator[bytes]:
    """The content, as a body of one piece."""
    yield content


def _variables(version: str) -> dict[str, str]:
    return {"GIT_NAMESPACE": NAMESPACE, **({"GIT_PROTOCOL": version} if version else {})}


async def _output(process: asyncio.subprocess.Process) -> AsyncIterator[bytes]:
    assert process.stdout is not None
    while piece := await process.stdout.read(CHUNK_BYTES):
        yield piece


async def _feed(process: asyncio.subprocess.Process, body: AsyncIterator[bytes], most: int) -> bool:
    """Give the body to git; whether it was more than `most` bytes.

    What git no longer wants is read all the same, up to as much again: whoever is still sending would not
    hear the answer. Raises: BadRequest.
    """
    assert process.stdin is not None
    seen = 0
    async for piece in body:
        seen += len(piece)
        if seen > 2 * most:
            break
        if seen <= most:
            with suppress(BrokenPipeError, ConnectionResetError):
                process.stdin.write(piece)
                await process.stdin.drain()
    process.stdin.close()
    return seen > most


async def _skip(body: AsyncIterator[bytes], most: int) -> None:
    seen = 0
    with suppress(BadRequest):
        async for piece in body:
            seen += len(piece)
            if seen > most:
                break


def _reported(report: Path) -> tuple[Hold, ...]:
    """What the hook left; nothing where the push was taken, or never came to the hook."""
    if not report.exists():
        return ()
    return PushReport.model_validate_json(report.read_bytes()).holds


def _stored_bytes(repository: Path) -> int:
    total = 0
    for folder, _, names in os.walk(repository / "objects"):
        for name in names:
            with suppress(OSError):
                total += os.lstat(Path(folder, name)).st_size
    return total
