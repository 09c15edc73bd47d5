"""All doors of a broker: opened with a box, served again after a restart, gone with the box."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

import structlog
from pydantic import ValidationError

from sandbox.broker.door.authority import Authority
from sandbox.broker.door.build_gate import BuildGate
from sandbox.broker.door.door import Door, DoorRecord
from sandbox.broker.door.gate import Brake, Gate
from sandbox.broker.door.parts import DoorParts, DoorTaken, EgressRefused
from sandbox.broker.door.waiting_gate import WaitingGate
from session.audit import AuditEntry, Outcome
from session.catalogue import UnknownRepository

log = structlog.get_logger()

BUILD_PREFIX = "build-"
"""How the names of boxes begin in which images are built; no session's box has such a name."""

WAITING_PREFIX = "warm-"
"""How the names of boxes begin that were made before their session."""

_BOX = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")


class Doors:
    """The doors below one directory, which belongs to the broker. Call `restore` first and `aclose` last."""

    def __init__(self, directory: Path, parts: DoorParts) -> None:
        self._directory = directory
        self._parts = parts
        self._brake = Brake(parts.switch)
        self._doors: dict[str, Door] = {}
        self._lock = asyncio.Lock()

    async def open(self, session_id: str, box: str, package_hosts: Mapping[str, tuple[str, ...]]) -> Path:
        """The directory to mount into the box, its door open.

        package_hosts: for each preset the origins that the box's package managers are set to, read before any
        agent ran in it; those given first for a box stand. Opening again changes nothing but the secrets,
        which are as they are now.
        Raises: ValueError for a box that has no plain name; NoSuchSession, DatabaseDown, VaultError.
        """
        _check_name(box)
        secrets = await self._secrets(session_id)
        return await self._opened(session_id, "", box, package_hosts, secrets)

    async def open_for_build(
        self, repository: str, box: str, package_hosts: Mapping[str, tuple[str, ...]]
    ) -> Path:
        """The same for a box in which that repository's image is built; no secrets lie in it.

        Raises: ValueError for a box that cannot be a build's; UnknownRepository.
        """
        _check_name(box)
        if not box.startswith(BUILD_PREFIX):
            raise ValueError(f"{box!r} is no name of a build's box")
        slug = self._parts.catalogue.get(repository).slug
        return await self._opened("", slug, box, package_hosts, {})

    async def open_waiting(self, repository: str, box: str) -> Path:
        """The directory to mount into a box that waits for a session of that repository.

        Until `assign` has given it one, the door refuses everything and no secrets lie in it.
        Raises: ValueError for a box that cannot wait; UnknownRepository.
        """
        _check_name(box)
        if not box.startswith(WAITING_PREFIX):
            raise ValueError(f"{box!r} is no name of a box that waits")
        slug = self._parts.catalogue.get(repository).slug
        return await self._opened("", slug, box, {}, {}, waits=True)

    async def assign(
        self, session_id: str, box: str, package_hosts: Mapping[str, tuple[str, ...]], *, by: str
    ) -> Path:
        """The door of a box that waited is the session's from now on; its connections so far are cut.

        Fine for one that is the session's already, and for one that is not there: it is opened for the
        session. by: who asks, as the audit names them.
        Raises: ValueError for a box that cannot have waited; DoorTaken for a door of another session, or of
        another repository; NoSuchSession, AuditDown, DatabaseDown, VaultError.
        """
        _check_name(box)
        if not box.startswith(WAITING_PREFIX):
            raise ValueError(f"{box!r} is no name of a box that waits")
        slug = await self._slug(session_id)
        secrets = await self._secrets(session_id)
        async with self._lock:
            door = self._doors.get(box)
            if door is not None and door.record.session_id != session_id:
                why = _taken(door.record, slug)
                await self._assigned(by, box, session_id, "refused" if why else "allowed", why)
                if why:
                    raise DoorTaken(why)
                given = {"session_id": session_id, "repository": "", "waits": False}
                record = door.record.model_copy(update={**given, "package_hosts": package_hosts})
                await asyncio.to_thread(_remember, self._directory, record)
                await door.aclose()
                await self._serve(record)
        return await self._opened(session_id, "", box, package_hosts, secrets)

    async def _opened(
        self,
        session_id: str,
        repository: str,
        box: str,
        package_hosts: Mapping[str, tuple[str, ...]],
        secrets: Mapping[str, str],
        *,
        waits: bool = False,
    ) -> Path:
        async with self._lock:
            door = self._doors.get(box)
            if door is not None and (door.record.session_id, door.record.repository, door.record.waits) != (
                session_id, repository, waits,
            ):  # fmt: skip
                await self._gone(box)
                door = None
            if door is None:
                authority = Authority.new(session_id or box)
                record = DoorRecord(
                    session_id=session_id,
                    repository=repository,
                    waits=waits,
                    box=box,
                    package_hosts=package_hosts,
                    certificate=authority.certificate,
                    key=authority.key,
                )
                await asyncio.to_thread(_remember, self._directory, record)
                door = await self._serve(record)
            await door.give(secrets)
            return door.directory

    async def restore(self) -> None:
        """Serve every door there was when the broker last ended."""
        async with self._lock:
            for record in await asyncio.to_thread(_remembered, self._directory):
                if record.box in self._doors:
                    continue
                try:
                    await self._serve(record)
                except (OSError, ValueError) as error:
                    log.error("a door cannot be opened again", box=record.box, error=str(error))

    async def close(self, box: str) -> None:
        """Nothing of the box's door is left; fine if there was none."""
        async with self._lock:
            await self._gone(box)

    def refusals(self, box: str, after: int) -> list[EgressRefused]:
        """What was refused to the box after the refusal of that number, oldest first; the latest 500."""
        door = self._doors.get(box)
        return [] if door is None else [each for each in door.gate.refused if each.number > after]

    async def aclose(self) -> None:
        """Shut all doors. They open again by `restore`."""
        async with self._lock:
            for door in self._doors.values():
                await door.aclose()
            self._doors.clear()

    async def _serve(self, record: DoorRecord) -> Door:
        gate = _gate(self._parts, self._brake, record)
        door = Door(record, self._directory / record.box, gate, self._parts)
        await door.start()
        self._doors[record.box] = door
        return door

    async def _gone(self, box: str) -> None:
        door = self._doors.pop(box, None)
        if door is not None:
            await door.aclose()
            await asyncio.to_thread(_forget, self._directory, box)

    async def _assigned(self, by: str, box: str, session_id: str, outcome: Outcome, why: str) -> None:
        entry = AuditEntry(
            actor=by,
            action="door.assign",
            target=box,
            outcome=outcome,
            session_id=session_id,
            detail={"why": why} if why else {},
        )
        await self._parts.audit.write(entry)

    async def _slug(self, session_id: str) -> str:
        """The session's repository; empty when it has none in the catalogue."""
        view = await self._parts.log.view(session_id)
        try:
            return self._parts.catalogue.get(view.repository.slug).slug if view.repository else ""
        except UnknownRepository:
            return ""

    async def _secrets(self, session_id: str) -> dict[str, str]:
        """The secrets that the repository's boxes may read."""
        slug = await self._slug(session_id)
        names = self._parts.catalogue.get(slug).secrets if slug else ()
        found = {name: await self._parts.secrets.get(name) for name in names}
        return {name: secret for name, secret in found.items() if secret is not None}


def _gate(parts: DoorParts, brake: Brake, record: DoorRecord) -> Gate:
    if record.waits:
        return WaitingGate(parts, brake, record.repository, record.box)
    if record.repository:
        return BuildGate(parts, brake, record.repository, record.box, record.package_hosts)
    return Gate(parts, brake, record.session_id, record.box, record.package_hosts)


def _taken(record: DoorRecord, slug: str) -> str:
    """Why the door cannot become that of a session of that repository; empty if it can."""
    if not record.waits:
        return f"The door of {record.box} is not one that waits for a session."
    if record.repository != slug:
        return f"The door of {record.box} waits for a session of {record.repository}."
    return ""


def _check_name(box: str) -> None:
    if not _BOX.fullmatch(box) or box.endswith(".json"):
        raise ValueError(f"{box!r} is no name of a box")


def _remember(directory: Path, record: DoorRecord) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    directory.chmod(0o711)
    fresh = directory / f".{record.box}.new"
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(record.model_dump_json())
    fresh.replace(directory / f"{record.box}.json")


def _remembered(directory: Path) -> list[DoorRecord]:
    found = []
    for path in sorted(directory.glob("*.json")):
        try:
            found.append(DoorRecord.model_validate_json(path.read_text()))
        except (OSError, ValidationError):
            log.warning("a door cannot be opened again", file=path.name)
    return found


def _forget(directory: Path, box: str) -> None:
    (directory / f"{box}.json").unlink(missing_ok=True)
    shutil.rmtree(directory / box, ignore_errors=True)
