"""The broker's desk for doors: a worker asks for one before it makes a box, and closes it with the box."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from sandbox.broker.door.doors import Doors
from sandbox.broker.door_wire import (
    DoorIsOpen,
    OfBox,
    OpenBuildDoor,
    OpenDoor,
    OpenWaitingDoor,
    Refusals,
    Refused,
)
from sandbox.broker.operations import Caller, Operation, Part
from sandbox.environments.protocol import DOOR_SECRETS
from session.broker import Nothing

WORKER: frozenset[Part] = frozenset({"worker"})


class DoorDesk:
    """Opens and closes doors."""

    def __init__(self, doors: Doors) -> None:
        self._doors = doors

    def operations(self) -> list[Operation[Any, Any]]:
        """The desk's operations, all for workers."""
        return [
            Operation("door.open", OpenDoor, WORKER, self.open),
            Operation("door.open_for_build", OpenBuildDoor, WORKER, self.open_for_build),
            Operation("door.open_waiting", OpenWaitingDoor, WORKER, self.open_waiting),
            Operation("door.assign", OpenDoor, WORKER, self.assign),
            Operation("door.close", OfBox, WORKER, self.close),
            Operation("door.refusals", Refused, WORKER, self.refusals),
        ]

    async def open(self, asked: OpenDoor, caller: Caller) -> DoorIsOpen:
        """The door of the box, made if it is not there."""
        directory = await self._doors.open(asked.session_id, asked.box, asked.package_hosts)
        secrets = await asyncio.to_thread(_names, directory / DOOR_SECRETS)
        return DoorIsOpen(directory=str(directory), secrets=secrets)

    async def open_for_build(self, asked: OpenBuildDoor, caller: Caller) -> DoorIsOpen:
        """The door of the box in which that repository's image is built."""
        directory = await self._doors.open_for_build(asked.repository, asked.box, asked.package_hosts)
        return DoorIsOpen(directory=str(directory), secrets=())

    async def open_waiting(self, asked: OpenWaitingDoor, caller: Caller) -> DoorIsOpen:
        """The door of a box that waits for a session of that repository."""
        directory = await self._doors.open_waiting(asked.repository, asked.box)
        return DoorIsOpen(directory=str(directory), secrets=())

    async def assign(self, asked: OpenDoor, caller: Caller) -> DoorIsOpen:
        """The door of a box that waited, now the session's. Raises: DoorTaken."""
        directory = await self._doors.assign(asked.session_id, asked.box, asked.package_hosts, by=caller.name)
        secrets = await asyncio.to_thread(_names, directory / DOOR_SECRETS)
        return DoorIsOpen(directory=str(directory), secrets=secrets)

    async def close(self, asked: OfBox, caller: Caller) -> Nothing:
        """The door of the box is gone."""
        await self._doors.close(asked.box)
        return Nothing()

    async def refusals(self, asked: Refused, caller: Caller) -> Refusals:
        """What the door refused the box."""
        return Refusals(refused=tuple(self._doors.refusals(asked.box, asked.after)))


def _names(directory: Path) -> tuple[str, ...]:
    return tuple(sorted(path.name for path in directory.iterdir())) if directory.is_dir() else ()
