"""Whose a box of this host is, and what a session's box is called here."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sandbox.environments.protocol import BoxInfo, Environment
from session.boxes import Boxes, LeftBox

MAX_NAME_CHARACTERS = 51


def box_name(session_id: str) -> str:
    """The name of a box that is made for that session, the same for ever; fit for every backend."""
    name = f"bellhop-{session_id.lower()}"
    if re.fullmatch(r"[a-z0-9-]+", name) and len(name) <= MAX_NAME_CHARACTERS and session_id.islower():
        return name
    return f"bellhop-{hashlib.sha256(session_id.encode()).hexdigest()[:32]}"


class SessionBoxes:
    """The record of sessions' boxes as one host sees it. Every method raises EnvironmentUnavailable and
    DatabaseDown."""

    def __init__(self, environment: Environment, boxes: Boxes) -> None:
        self._environment = environment
        self._boxes = boxes
        self._clearing = asyncio.Lock()

    async def name(self, session_id: str) -> str:
        """What the session's box is called here: the one on record, else one that is made for it."""
        known = await self._boxes.of(session_id)
        here = known is not None and known.place == await self._environment.place()
        return known.box if known is not None and here else box_name(session_id)

    async def owner(self, box: BoxInfo) -> str:
        """The session that the box belongs to: what is on record counts before what it was made for."""
        return await self._boxes.owner(box.name, await self._environment.place()) or box.session_id

    async def give(self, session_id: str, name: str) -> None:
        """The box of that name here is the session's."""
        await self._boxes.give(session_id, name, await self._environment.place())

    async def is_left(self, name: str) -> bool:
        """Whether the box of that name here is out of date, since its session has gone on in another."""
        return any(left.box == name for left in await self.left())

    @asynccontextmanager
    async def clearing(self, name: str) -> AsyncIterator[bool]:
        """Whether the box of that name is left behind; if so, it is removed in the block, and by nobody else:
        the next box of that name might be the session's again."""
        async with self._clearing:
            yield await self.is_left(name)

    async def left(self) -> list[LeftBox]:
        """The boxes here whose sessions have gone on in others."""
        return await self._boxes.left(await self._environment.place())

    async def forget(self, name: str) -> None:
        """There is no box of that name here any more."""
        await self._boxes.forget(name, await self._environment.place())
