"""A worker's side of the broker's desk: the same words, the same errors as if the forge were asked itself."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

from sandbox.base_commit import BadBase
from sandbox.broker import wire
from sandbox.broker.door.parts import DoorTaken
from sandbox.broker.publishing import PublishRefused
from sandbox.broker.quarantine import Quarantine, QuarantineLimits, QuarantineRefused, Received
from sandbox.broker.rights import NotApproved, NotPermitted
from sandbox.forge.protocol import (
    ForgeError,
    ForgeRefused,
    ForgeUnavailable,
    HeadMoved,
    Mirror,
    NotLinked,
    PullRequestRef,
)
from sandbox.proposal import Proposal
from session.broker import Broker, BrokerDown, BrokerRefused, Nothing
from session.catalogue import UnknownRepository
from session.people import Declared, Person

Answer = TypeVar("Answer", bound=Declared)

GIT_SECONDS = 1800.0
"""Longest a fetch, a publication or taking in a bundle may take."""

KINDS: Mapping[type[Exception], str] = {
    ForgeUnavailable: "forge_unavailable",
    ForgeRefused: "forge_refused",
    HeadMoved: "head_moved",
    NotLinked: "not_linked",
    ForgeError: "forge_error",
    NotPermitted: "not_permitted",
    NotApproved: "not_approved",
    PublishRefused: "publish_refused",
    QuarantineRefused: "quarantine_refused",
    UnknownRepository: "unknown_repository",
    BadBase: "bad_base",
    DoorTaken: "door_taken",
}
"""How the desk's errors are named on their way."""


class BrokerUnavailable(ForgeUnavailable):
    """The broker, its audit or its database is away, its disk is full, or everything is switched off: try
    again later.

    `part` names what is away, as cards do; empty where nothing is.
    """

    def __init__(self, message: str, part: str = "") -> None:
        super().__init__(message)
        self.part = part


class BrokerFailed(Exception):
    """The broker has a defect, or refused what a worker should not ask; its log says more."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """The repository's mirror and the session's quarantine, both readable here."""

    mirror: Mirror
    quarantine: Quarantine


async def ask(
    broker: Broker, operation: str, asked: Declared, answers: type[Answer], seconds: float = 120.0
) -> Answer:
    """What the broker answers; its refusals are raised as the errors they were there.

    Raises: BrokerUnavailable, BrokerFailed, and those of `KINDS`.
    """
    try:
        return await broker.call(operation, asked, answers, seconds=seconds)
    except BrokerDown as error:
        raise BrokerUnavailable(str(error), "broker") from error
    except BrokerRefused as error:
        raise _as_raised(error) from error


class BrokerForge:
    """What one worker asks of the desk. `exchange` is where it lays down bundles for the broker.

    Every method raises BrokerUnavailable, and ForgeUnavailable, ForgeRefused as the forge does.
    """

    def __init__(self, broker: Broker, exchange: Path) -> None:
        self._broker = broker
        self._exchange = exchange

    async def prepare(self, session_id: str) -> Prepared:
        """The session's repository, fetched just now."""
        asked = wire.InSession(session_id=session_id)
        answer = await self._call("forge.prepare", asked, wire.Prepared, GIT_SECONDS)
        quarantine = HandedOver(Path(answer.quarantine), session_id, self)
        quarantine.let_go = answer.let_go
        return Prepared(Mirror(Path(answer.mirror), answer.head_sha), quarantine)

    async def fetch(self, slug: str) -> Mirror:
        """A repository of the catalogue, fetched just now for its image. Raises: UnknownRepository."""
        asked = wire.OfRepository(repository=slug)
        answer = await self._call("forge.fetch_for_build", asked, wire.Fetched, GIT_SECONDS)
        return Mirror(Path(answer.mirror), answer.head_sha)

    async def require_write(self, session_id: str, person: Person, *, fresh: bool = True) -> None:
        """Return if that person of the session may write to its repository. Raises: NotPermitted."""
        asked = wire.MayWrite(session_id=session_id, person_id=person.id, fresh=fresh)
        await self._call("forge.may_write", asked, Nothing)

    async def find_pull_request(self, session_id: str, branch: str) -> PullRequestRef | None:
        """The open pull request of the branch."""
        asked = wire.OfBranch(session_id=session_id, branch=branch)
        return (await self._call("forge.find_pull_request", asked, wire.PullRequestIs)).pull_request

    async def pull_request(self, session_id: str, number: int) -> PullRequestRef:
        """The pull request as it is now."""
        asked = wire.OfNumber(session_id=session_id, number=number)
        return _there(await self._call("forge.pull_request", asked, wire.PullRequestIs))

    async def publish(self, asked: wire.PublishBranch) -> str:
        """Where the published branch can be compared with its base.

        Raises: NotApproved, NotPermitted, PublishRefused, HeadMoved.
        """
        return (await self._call("forge.publish", asked, wire.BranchIsOut, GIT_SECONDS)).compare_url

    async def open_pull_request(self, asked: wire.Outward) -> PullRequestRef:
        """The pull request as the turn's author. Raises: NotApproved, NotPermitted, NotLinked."""
        return _there(await self._call("forge.open_pull_request", asked, wire.PullRequestIs))

    async def merge(self, session_id: str, approval_id: str) -> PullRequestRef:
        """The merged pull request. Raises: NotApproved, NotPermitted, HeadMoved."""
        asked = wire.Merge(session_id=session_id, approval_id=approval_id)
        return _there(await self._call("forge.merge", asked, wire.PullRequestIs))

    async def receive(self, session_id: str, bundle: Path | bytes) -> Received:
        """What a bundle brought into the session's quarantine. Raises: QuarantineRefused."""
        directory = self._exchange / session_id
        file = directory / f"{uuid4().hex}.bundle"
        try:
            await asyncio.to_thread(_laid_down, bundle, file)
            asked = wire.Handover(session_id=session_id, file=file.name)
            answer = await self._call("quarantine.receive", asked, wire.TakenIn, GIT_SECONDS)
        except OSError as error:
            raise QuarantineRefused(f"The changes cannot be laid down: {error}.") from error
        finally:
            await asyncio.to_thread(file.unlink, missing_ok=True)
        return Received(answer.references, answer.commits, answer.findings)

    async def _call(
        self, operation: str, asked: Declared, answers: type[Answer], seconds: float = 120.0
    ) -> Answer:
        return await ask(self._broker, operation, asked, answers, seconds)


class HandedOver(Quarantine):
    """A session's quarantine as a worker sees it: read here, written by the broker alone."""

    def __init__(self, path: Path, session_id: str, forge: BrokerForge) -> None:
        super().__init__(path, QuarantineLimits())
        self._session_id = session_id
        self._forge = forge

    async def receive_bundle(self, bundle: Path | bytes) -> Received:
        """What the bundle brought, taken in by the broker. Raises: QuarantineRefused, BrokerUnavailable."""
        return await self._forge.receive(self._session_id, bundle)


def outward(
    session_id: str, head_sha: str, branch: str, proposal: Proposal, approval_id: str | None
) -> wire.Outward:
    """The proposal as it travels."""
    return wire.Outward(
        session_id=session_id,
        head_sha=head_sha,
        branch=branch,
        title=proposal.title,
        body=proposal.body,
        draft=proposal.draft,
        approval_id=approval_id,
    )


def _laid_down(bundle: Path | bytes, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(bundle if isinstance(bundle, bytes) else bundle.read_bytes())


def _there(answer: wire.PullRequestIs) -> PullRequestRef:
    if answer.pull_request is None:
        raise ForgeError("The forge said that it was done, and named no pull request.")
    return answer.pull_request


def _as_raised(refused: BrokerRefused) -> Exception:
    """The error that the desk raised."""
    said, detail = str(refused), refused.detail
    match refused.kind:
        case "forge_unavailable":
            after = detail.get("retry_after_seconds")
            return ForgeUnavailable(said, float(after) if after else None)
        case "forge_refused":
            return ForgeRefused(said, int(detail["status"]) if "status" in detail else None)
        case "head_moved":
            return HeadMoved(said, detail.get("actual"))
        case "not_linked":
            return NotLinked(said)
        case "not_permitted":
            return NotPermitted(said, detail.get("advice", ""))
        case "not_approved" | "publish_refused":
            return PublishRefused(said, ())
        case "quarantine_refused":
            return QuarantineRefused(said)
        case "door_taken":
            return DoorTaken(said)
        case "audit_down":
            return BrokerUnavailable(said, "audit")
        case "database_down" | "halted" | "no_room":
            return BrokerUnavailable(said)
        case "unknown_repository":
            return UnknownRepository(detail.get("slug", ""), ())
        case "bad_base":
            return BadBase(said)
        case "forge_error":
            return ForgeError(said)
    return BrokerFailed(said)
