"""The kill switch on a worker's host: while it is on, every box is killed and stays dead."""

from __future__ import annotations

import asyncio

import structlog

from sandbox.environments.protocol import Environment, EnvironmentUnavailable, SandboxFailed
from session.database import DatabaseDown
from session.halt import KillSwitch

log = structlog.get_logger()


class HaltWatch:
    """Looks at the switch every so often, and kills this host's boxes while it is on. Their files stay."""

    def __init__(self, switch: KillSwitch, environment: Environment, every_seconds: float = 0.25) -> None:
        self._switch = switch
        self._environment = environment
        self._every_seconds = every_seconds
        self._halted = False

    async def run(self) -> None:
        """Watch for ever. A database that does not answer changes nothing: what is halted stays so."""
        while True:
            try:
                self._halted = await self._switch.halted()
            except DatabaseDown as error:
                log.warning("kill switch not readable", error=str(error))
            if self._halted:
                await self.kill_all()
            await asyncio.sleep(self._every_seconds)

    async def kill_all(self) -> int:
        """How many boxes ran and are dead now."""
        try:
            boxes = await self._environment.list()
        except (EnvironmentUnavailable, SandboxFailed) as error:
            log.error("boxes not killed", error=str(error))
            return 0
        dead = await asyncio.gather(*(self._kill(box.name, box.session_id) for box in boxes if box.running))
        return sum(dead)

    async def _kill(self, name: str, session_id: str) -> bool:
        try:
            await self._environment.end(name)
        except (SandboxFailed, EnvironmentUnavailable) as error:  # the next look tries again
            log.error("box not killed", box=name, session_id=session_id, error=str(error))
            return False
        log.warning("box killed", box=name, session_id=session_id, reason="all work is halted")
        return True
