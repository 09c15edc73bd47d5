"""This host's sign of life, by which workers on other hosts know that its boxes can be reached."""

from __future__ import annotations

import asyncio
import socket

import structlog

from sandbox.environments.protocol import Environment, EnvironmentUnavailable, SandboxFailed
from session.database import DatabaseDown
from session.hosts import Hosts

log = structlog.get_logger()


class SignOfLife:
    """Gives a sign every so many seconds, while both the worker and its engine live."""

    def __init__(self, environment: Environment, hosts: Hosts, every_seconds: float) -> None:
        self._environment = environment
        self._hosts = hosts
        self._every_seconds = every_seconds

    async def run(self) -> None:
        """Give signs for ever; when it is told to end, the others are told too."""
        try:
            while True:
                try:
                    await self.give()
                except (DatabaseDown, EnvironmentUnavailable, SandboxFailed) as error:
                    log.warning("no sign of life", error=str(error))
                await asyncio.sleep(self._every_seconds)
        finally:
            await self._leave()

    async def give(self) -> None:
        """One sign. Raises: DatabaseDown, EnvironmentUnavailable, SandboxFailed."""
        if self._environment.forgetful:
            await self._environment.check()
        await self._hosts.beat(await self._environment.place(), socket.gethostname())

    async def place(self) -> str:
        """Where jobs for this worker are handed on to; empty while that is not known."""
        try:
            return await self._environment.place()
        except (EnvironmentUnavailable, SandboxFailed):
            return ""

    async def _leave(self) -> None:
        try:
            await self._hosts.leave(await self._environment.place())
        except (DatabaseDown, EnvironmentUnavailable, SandboxFailed) as error:
            # The sign grows old by itself.
            log.info("host not taken off the list", error=str(error))
