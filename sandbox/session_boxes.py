"""Whose a box of this host is, and what a session's box is called here."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sandbox.environments.protocol import Environment, SandboxSpec
from sandbox.warm_pool.pool import WarmPool
from session.boxes import Boxes, LeftBox
from session.catalogue import Repository

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

    def __init__(self, environment: Environment, boxes: Boxes, pool: WarmPool) -> None:
        self._environment = environment
        self._boxes = boxes
        self._pool = pool
        self._clearing = asyncio.Lock()

    async def name(self, session_id: str) -> str:
        """What the session's box is called here: the one on record, else one that is made for it."""
        return await self._known(session_id) or box_name(session_id)

    async def choose(
        self, session_id: str, wanted: SandboxSpec | None, repository: Repository
    ) -> tuple[str, bool]:
        """The same, but a session that has no box here gets one that waits in the pool, where one is as
        `wanted` (None: it must be a new one); and whether it did just now."""
        known = await self._known(session_id)
        if known is None and wanted is not None:
            waited = await self._pool.take(session_id, wanted, repository)
            if waited is not None:
                return waited, True
        return known or box_name(session_id), False

    async def owner(self, name: str, made_for: str) -> str:
        """The session that the box belongs to: what is on record counts before what it was made for."""
        return await self._boxes.owner(name, await self._environment.place()) or made_for

    async def give(self, session_id: str, name: str) -> None:
        """The box of that name here is the session's."""
        await self._boxes.give(session_id, name, await self._environment.place())

    async def discard(self, name: str) -> None:
        """The box of that name is gone, and with it whose it was. Raises: SandboxFailed."""
        await self._environment.remove(name)
        await self.forget(name)

    async def is_left(self, name: str) -> bool:
        """Whether the box of that name here is out of date, since its session has gone on in another."""
        return any(left.box == name for left in await self.left())

    @asynccontextmanager
    async def clearing(self, name: str) -> AsyncIterator[bool]:
        """Whether the box of that name is left behind; if so, it is removed in the block, and by nobody else:
        the next box of that name might be the session's again."""
        async with self._clearing:
            yield await self.is_left(name)

    async def discard_left(self, name: str) -> None:
        """The box of that name is gone if its session has been elsewhere meanwhile: what it holds is out of
        date. Raises: SandboxFailed."""
        async with self.clearing(name) as is_left:
            if is_left:
                await self.discard(name)

    async def left(self) -> list[LeftBox]:
        """The boxes here whose sessions have gone on in others."""
        return await self._boxes.left(await self._environment.place())

    async def forget(self, name: str) -> None:
        """There is no box of that name here any more."""
        await self._boxes.forget(name, await self._environment.place())

    async def _known(self, session_id: str) -> str | None:
        known = await self._boxes.of(session_id)
        return known.box if known is not None and known.place == await self._environment.place() else None
