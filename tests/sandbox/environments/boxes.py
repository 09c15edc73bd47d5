"""Boxes for the tests: environments on this machine, small limits, call ids."""

from __future__ import annotations

import itertools
import shutil
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from sandbox.environments.protocol import Environment, Sandbox, SandboxLimits, SandboxSpec
from sandbox.environments.runner_client import ExecResult

MIB = 1024 * 1024
LIMITS = SandboxLimits(
    memory_bytes=256 * MIB, cpus=1.0, pids=96, disk_bytes=64 * MIB, open_files=1024, tmp_bytes=32 * MIB
)
_numbers = itertools.count(1)


def call_id() -> str:
    """An id that no call had before."""
    return f"call-{next(_numbers)}-{uuid.uuid4().hex[:8]}"


@dataclass(frozen=True, slots=True)
class Bench:
    """An environment under test with a directory for what its boxes are given."""

    environment: Environment
    directory: Path

    def spec(
        self, name: str | None = None, image: str | None = None, door: Path | None = None
    ) -> SandboxSpec:
        """A small box with a name of its own."""
        name = name or f"test-{uuid.uuid4().hex[:10]}"
        inbound = self.directory / "in" / name
        inbound.mkdir(parents=True, exist_ok=True)
        return SandboxSpec(
            session_id="s-1",
            name=name,
            image=image,
            inbound=inbound,
            env={"GREETING": "hello"},
            limits=LIMITS,
            labels={"bellhop.test": "1"},
            door=door,
        )

    @asynccontextmanager
    async def box(self, spec: SandboxSpec | None = None) -> AsyncIterator[Sandbox]:
        """An open box that is gone afterwards."""
        spec = spec or self.spec()
        try:
            async with await self.environment.open(spec) as sandbox:
                yield sandbox
        finally:
            await self.environment.remove(spec.name)


async def run(sandbox: Sandbox, command: str, timeout_seconds: float = 30.0) -> ExecResult:
    """The end of a command under a fresh call id."""
    return await sandbox.runner.exec(call_id(), command, timeout_seconds=timeout_seconds)


def emptied(directory: Path) -> Iterator[Path]:
    """A directory that is gone afterwards, whoever owns what is in it."""
    directory.mkdir(parents=True, exist_ok=True)
    yield directory
    with suppress(FileNotFoundError):
        shutil.rmtree(directory)
