"""Which host a session's turn is for: the one that has its box, as long as a worker lives there."""

from __future__ import annotations

import structlog

from sandbox.environments.protocol import Environment, EnvironmentUnavailable, SandboxFailed
from session.boxes import Boxes
from session.hosts import Hosts
from session.leases import Leases
from session.queue import Queue

log = structlog.get_logger()


class Preference:
    """What one worker knows of the others. Every method raises DatabaseDown."""

    def __init__(
        self, environment: Environment, boxes: Boxes, hosts: Hosts, leases: Leases, queue: Queue
    ) -> None:
        self._environment = environment
        self._boxes = boxes
        self._hosts = hosts
        self._leases = leases
        self._queue = queue

    async def handed_on(self, session_id: str) -> bool:
        """Whether the session's turn was handed on: to the host that has its box, or from one whose engine is
        away to any other."""
        place = await self._target(session_id)
        if place is None:
            return False
        number = await self._leases.next_epoch(session_id)
        if await self._queue.hand_on(session_id, number, place) == "unreachable":
            return False
        log.info("turn handed on", session_id=session_id, place=place)
        return True

    async def _target(self, session_id: str) -> str | None:
        """The place that the turn is for; None: this one."""
        own, box = await self._own(), await self._boxes.of(session_id)
        if own is not None and (box is None or box.place == own):
            return None
        others = [place for place in await self._hosts.at_work() if place != own]
        if box is not None and box.place in others:
            return box.place
        return others[0] if own is None and others else None

    async def _own(self) -> str | None:
        """This place, None while no box can be made here."""
        try:
            if self._environment.forgetful:
                await self._environment.check()
            return await self._environment.place()
        except (EnvironmentUnavailable, SandboxFailed):
            return None
