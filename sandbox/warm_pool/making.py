"""One box that waits: made like any other of its repository but for no session, and taken away again."""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

import structlog

from sandbox.base_commit import BadBase, read_base
from sandbox.broker.client import BrokerFailed, BrokerForge
from sandbox.broker.door.doors import WAITING_PREFIX
from sandbox.broker.git import GitFailed
from sandbox.disk_room import DiskLimits
from sandbox.doors import WorkerDoors
from sandbox.environments.protocol import (
    PURPOSE_LABEL,
    Environment,
    EnvironmentUnavailable,
    SandboxFailed,
    SandboxSpec,
)
from sandbox.environments.runner_client import RunnerError
from sandbox.forge.protocol import ForgeError
from sandbox.images.ready_images import ReadyImages
from sandbox.runner import VERSION
from session.catalogue import Repository, UnknownRepository
from session.image_builds import ImageBuilds
from session.policy import policy_version
from session.warm_boxes import WarmBoxes
from session.warm_hints import WarmHints

log = structlog.get_logger()

WARM = "warm"
NOT_MADE = (
    BadBase,
    BrokerFailed,
    EnvironmentUnavailable,
    ForgeError,
    GitFailed,
    RunnerError,
    SandboxFailed,
    UnknownRepository,
)
"""What keeps a box from being made: sessions that start meanwhile say it in their threads."""


@dataclass(frozen=True, slots=True)
class WarmParts:
    """What boxes that wait are made with. `hints`: what somebody is about to ask for; `inbound` is where
    boxes' inbound directories are; `limits`: how much of the disks may be taken."""

    environment: Environment
    forge: BrokerForge
    doors: WorkerDoors
    images: ReadyImages
    builds: ImageBuilds
    boxes: WarmBoxes
    hints: WarmHints
    inbound: Path
    limits: DiskLimits


class WarmMaker:
    """Makes and removes boxes that wait on one host."""

    def __init__(self, parts: WarmParts) -> None:
        self._parts = parts

    async def basis(self, repository: Repository) -> str:
        """What a box of the repository would be made on now: its newest image, the runner, its policy.

        Raises: EnvironmentUnavailable, DatabaseDown.
        """
        place = await self._parts.environment.place()
        builds = await self._parts.builds.of(repository.slug, place)
        newest = next((build.reference for build in builds if build.state == "ready"), "")
        return _digest([newest, str(VERSION), repository.model_dump_json()])

    async def make(self, repository: Repository) -> bool:
        """Whether there is one box more, running and ready to be taken.

        Raises: those of `NOT_MADE`, and DatabaseDown. What was begun is on record, for `remove`.
        """
        parts, basis = self._parts, await self.basis(repository)
        mirror = await parts.forge.fetch(repository.slug)
        base = await read_base(repository, mirror, repository.default_branch)
        start = await parts.images.start(base)
        name = f"{WAITING_PREFIX}{uuid4().hex[:16]}"
        spec = start.spec("", name, base, parts.inbound / name)
        spec = replace(spec, labels={PURPOSE_LABEL: WARM, **spec.labels})
        place = await parts.environment.place()
        await parts.boxes.begin(name, place, repository.slug, fit(spec, repository), basis)
        try:
            door = await parts.doors.open_waiting(name, repository, start.chosen(repository))
            async with await parts.environment.open(replace(spec, door=door)):
                pass  # its runner answers
        except NOT_MADE:
            await self.remove(name)
            raise
        if await parts.boxes.ready(name, place):
            log.info("box waits", repository=repository.slug, box=name, image=start.image)
            return True
        await self.remove(name)
        return False

    async def remove(self, name: str) -> bool:
        """Whether the box was nobody's; then nothing is left of it. One that was taken stays.

        Raises: EnvironmentUnavailable, SandboxFailed, BrokerUnavailable, BrokerFailed, DatabaseDown; what is
        left then is removed by the next call.
        """
        parts, place = self._parts, await self._parts.environment.place()
        if not await parts.boxes.give_up(name, place):
            return False
        await parts.environment.remove(name)
        await parts.doors.close(name)
        await asyncio.to_thread(shutil.rmtree, parts.inbound / name, ignore_errors=True)
        await parts.boxes.forget(name, place)
        return True


def fit(spec: SandboxSpec, repository: Repository) -> str:
    """What two boxes have in common where one can stand in for the other: all that cannot be changed once a
    box is there, and the policy that it was made under."""
    limits = [str(getattr(spec.limits, name)) for name in spec.limits.__slots__]
    variables = [f"{name}={value}" for name, value in sorted(spec.env.items())]
    return _digest(
        [spec.image or "", *variables, *spec.hosts, *limits, str(VERSION), policy_version(repository)]
    )


def _digest(parts: Sequence[str]) -> str:
    return hashlib.sha256(json.dumps(list(parts)).encode()).hexdigest()
