"""One box of namespaces."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Protocol

from sandbox.environments.images import ImageTag, KeptImage
from sandbox.environments.local_processes import BoxRecord
from sandbox.environments.open_box import OpenBox
from sandbox.environments.protocol import Origin
from sandbox.environments.runner_client import RunnerClient


class LocalKeeper(Protocol):
    """What a box asks of the environment that keeps its files."""

    def record(self, name: str) -> BoxRecord | None: ...

    async def end(self, name: str) -> None: ...

    async def remove(self, name: str) -> None: ...

    async def snapshot(self, name: str, tag: str) -> str: ...

    async def keep_box(self, name: str, tag: ImageTag, labels: Mapping[str, str]) -> KeptImage: ...


class LocalSandbox(OpenBox):
    """One box of namespaces. Made by `LocalEnvironment.open`."""

    def __init__(self, environment: LocalKeeper, name: str, runner: RunnerClient, origin: Origin) -> None:
        super().__init__(name, runner, origin)
        self._environment = environment

    async def snapshot(self, tag: str) -> str:
        """A copy of workspace, home and journal. Raises: SandboxFailed."""
        return await self._environment.snapshot(self._name, tag)

    async def keep(self, tag: ImageTag, labels: Mapping[str, str]) -> KeptImage:
        """A copy of workspace and home; the box's processes have ended. Raises: SandboxFailed."""
        await self.stop()
        return await self._environment.keep_box(self._name, tag, labels)

    async def stop(self) -> None:
        """The box's processes have ended; its files stay."""
        await self._runner.aclose()
        await self._environment.end(self._name)

    async def kill(self) -> None:
        """The box's processes were killed; its files stay."""
        await self._environment.end(self._name)

    async def remove(self) -> None:
        """Nothing is left but snapshots."""
        await self._runner.aclose()
        await self._environment.remove(self._name)

    async def cause_of_death(self) -> str | None:
        """ "its processes ended" when the box does not run (the kernel tells no more), else None."""
        record = await asyncio.to_thread(self._environment.record, self._name)
        if record is None:
            return "removed"
        return None if record.running() else "its processes ended"
