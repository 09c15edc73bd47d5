"""A bare origin, a box's working copy of it, and the quarantine between them; a store for the vault."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from sandbox.broker.quarantine import Quarantine, QuarantineLimits
from tests.sandbox.workbench import Workbench

SMALL = QuarantineLimits(bundle_bytes=3_000_000, commits=20, file_bytes=100_000)


class MemoryStore:
    """A secret store in memory, with real locks."""

    def __init__(self) -> None:
        self.rows: dict[str, bytes] = {}
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def get(self, name: str) -> bytes | None:
        return self.rows.get(name)

    async def put(self, name: str, sealed: bytes) -> None:
        self.rows[name] = sealed

    async def delete(self, name: str) -> None:
        self.rows.pop(name, None)

    async def names(self) -> list[str]:
        return sorted(self.rows)

    def lock(self, name: str) -> AbstractAsyncContextManager[None]:
        return self._locks[name]


@pytest.fixture
def store() -> MemoryStore:
    """An empty store."""
    return MemoryStore()


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    """A bare mirror with one commit on main."""
    return Workbench.new(tmp_path / "origin").bare(tmp_path / "mirror.git")


@pytest.fixture
def box(tmp_path: Path, mirror: Path) -> Workbench:
    """A working copy as a box has it."""
    return Workbench.clone(mirror, tmp_path / "box")


@pytest.fixture
async def quarantine(tmp_path: Path, mirror: Path) -> Quarantine:
    """A session's quarantine with small limits."""
    return await Quarantine.create(tmp_path / "quarantine.git", mirror, limits=SMALL)
