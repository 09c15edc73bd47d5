"""What an open box is on every backend: a name, a connection to its runner, and where it came from."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from sandbox.environments.protocol import INBOUND, WORKSPACE, Origin
from sandbox.environments.runner_client import BoxStats, RunnerClient


class OpenBox:
    """The part of a `Sandbox` that is the same everywhere; a backend's box adds its life and death."""

    def __init__(self, name: str, runner: RunnerClient, origin: Origin) -> None:
        self._name = name
        self._runner = runner
        self._origin = origin

    @property
    def name(self) -> str:
        return self._name

    @property
    def adopted(self) -> bool:
        return self._origin == "adopted"

    @property
    def origin(self) -> Origin:
        return self._origin

    @property
    def workspace(self) -> str:
        return WORKSPACE

    @property
    def inbound_path(self) -> str:
        return INBOUND

    @property
    def runner(self) -> RunnerClient:
        return self._runner

    async def stats(self) -> BoxStats:
        return await self._runner.stats()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._runner.aclose()
