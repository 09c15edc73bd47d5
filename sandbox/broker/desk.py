"""The broker's desk for repositories: fetch, take in, publish, open, merge, each as the record allows it.

A worker says what it wants done in which session. Who asked, which repository is meant and what people
approved, the desk reads in the log itself: a worker cannot publish what nobody said yes to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sandbox.base_commit import BaseCommit, read_base
from sandbox.broker import wire
from sandbox.broker.carried_work import CarriedWork
from sandbox.broker.operations import Caller, Operation, Part
from sandbox.broker.publishing import Publication, inspected, publish
from sandbox.broker.quarantine import Quarantine, QuarantineLimits
from sandbox.broker.quarantines import Quarantines
from sandbox.broker.rights import NotApproved, NotPermitted, Rights
from sandbox.broker.still_text import still
from sandbox.forge.protocol import Credential, Forge, ForgeRepository, Mirror, PullRequestRef
from sandbox.policy.rule_of_two import needs_a_person, stays_a_draft
from sandbox.proposal import Proposal, digest, merge_digest
from session.access import reaches
from session.audit import Audit, AuditEntry, Outcome
from session.broker import Nothing
from session.catalogue import Catalogue, Repository
from session.directory import Directory
from session.halt import KillSwitch
from session.log import Log
from session.people import Person
from session.policy import policy_version
from session.view import ApprovalView, SessionView


@dataclass(frozen=True, slots=True)
class StorePlaces:
    """Directories of the broker: quarantines by session, and where workers lay down bundles for it."""

    quarantines: Quarantines
    exchange: Path

    @classmethod
    def under(cls, home: Path) -> StorePlaces:
        """The usual places below BELLHOP_HOME."""
        return cls(Quarantines(home / "quarantine"), home / "exchange")


@dataclass(frozen=True, slots=True)
class DeskParts:
    """What the desk works with. `forges` is by the forge's name; `limits`: how much a box may hand over;
    `carried`: work that brokers of other hosts see too, None where there is one host."""

    log: Log
    catalogue: Catalogue
    directory: Directory
    forges: Mapping[str, Forge]
    rights: Rights
    audit: Audit
    switch: KillSwitch
    places: StorePlaces
    limits: QuarantineLimits = field(default_factory=QuarantineLimits)
    carried: CarriedWork | None = None


@dataclass(frozen=True, slots=True)
class _Case:
    """A session with its repository, as the record has them."""

    view: SessionView
    repository: Repository
    forge: Forge
    where: ForgeRepository

    @property
    def base(self) -> str:
        chosen = self.view.repository
        return (chosen.branch if chosen else "") or self.repository.default_branch

    @property
    def author(self) -> Person:
        prompt = self.view.prompt(self.view.turn.prompt_id) if self.view.turn else None
        return prompt.prompt.author if prompt else self.view.requester


class ForgeDesk:
    """Carries out what workers ask about repositories.

    Every operation raises Halted, AuditDown, UnknownRepository, ForgeError and what it names itself.
    """

    def __init__(self, parts: DeskParts) -> None:
        self._parts = parts

    def operations(self) -> list[Operation[Any, Any]]:
        """The desk's operations, all for workers."""
        worker: frozenset[Part] = frozenset({"worker"})
        return [
            Operation("forge.prepare", wire.InSession, worker, self.prepare_for),
            Operation("forge.fetch_for_build", wire.OfRepository, worker, self.fetch_for_build),
            Operation("forge.may_write", wire.MayWrite, worker, self.may_write),
            Operation("forge.find_pull_request", wire.OfBranch, worker, self.find_pull_request),
            Operation("forge.pull_request", wire.OfNumber, worker, self.pull_request),
            Operation("forge.publish", wire.PublishBranch, worker, self.publish),
            Operation("forge.open_pull_request", wire.Outward, worker, self.open_pull_request),
            Operation("forge.merge", wire.Merge, worker, self.merge),
            Operation("quarantine.receive", wire.Handover, worker, self.receive),
        ]

    async def prepare_for(self, asked: wire.InSession, caller: Caller) -> wire.Prepared:
        """The session's repository, fetched, and its quarantine brought up to date, also with what another
        host's broker took in. Raises: QuarantineRefused."""
        return await self.prepare(asked.session_id, caller.name)

    async def prepare(self, session_id: str, actor: str) -> wire.Prepared:
        """The same for a part of the broker itself, such as the door when a box fetches."""
        case = await self._case(session_id)
        await self._audited(case, actor, "forge.fetch", case.where.slug)
        mirror = await case.forge.sync_mirror(case.where)
        slug, quarantines = case.repository.slug, self._parts.places.quarantines
        path = quarantines.path(session_id, slug)
        async with quarantines.in_use(session_id):
            quarantine = await Quarantine.create(path, mirror.path, limits=self._parts.limits)
            carried = self._parts.carried
            let_go = carried is not None and await carried.bring(quarantine, session_id, slug)
        return wire.Prepared(
            mirror=str(mirror.path), head_sha=mirror.head_sha, quarantine=str(path), let_go=let_go
        )

    async def fetch_for_build(self, asked: wire.OfRepository, caller: Caller) -> wire.Fetched:
        """A repository of the catalogue, fetched for its image: for no session and in nobody's name."""
        await self._parts.switch.check()
        repository = self._parts.catalogue.get(asked.repository)
        entry = AuditEntry(
            actor=f"{caller.name} for an image",
            action="forge.fetch",
            target=repository.slug,
            outcome="allowed",
        )
        await self._parts.audit.write(entry)
        mirror = await self._parts.forges[repository.forge].sync_mirror(_where(repository))
        return wire.Fetched(mirror=str(mirror.path), head_sha=mirror.head_sha)

    async def repository(self, session_id: str) -> Repository:
        """The session's repository. Raises: NoSuchSession, UnknownRepository."""
        return (await self._case(session_id)).repository

    async def refresh(self, session_id: str) -> Path:
        """The session's quarantine, brought up to date for a box that fetches."""
        return Path((await self.prepare(session_id, "door")).quarantine)

    async def may_write(self, asked: wire.MayWrite, caller: Caller) -> Nothing:
        """An answer if they may. Raises: NotPermitted."""
        case = await self._case(asked.session_id)
        person = self._known(case, asked.person_id)
        if case.view.origin.trigger and person.id == case.author.id:
            return Nothing()  # a trigger may do what its repository's policy lets it
        await self._parts.rights.require_write(case.forge, case.where, person, fresh=asked.fresh)
        return Nothing()

    async def find_pull_request(self, asked: wire.OfBranch, caller: Caller) -> wire.PullRequestIs:
        """The open pull request of the branch."""
        case = await self._case(asked.session_id)
        return wire.PullRequestIs(pull_request=await case.forge.find_pull_request(case.where, asked.branch))

    async def pull_request(self, asked: wire.OfNumber, caller: Caller) -> wire.PullRequestIs:
        """The pull request as it is now."""
        case = await self._case(asked.session_id)
        return wire.PullRequestIs(pull_request=await case.forge.pull_request(case.where, asked.number))

    async def receive(self, asked: wire.Handover, caller: Caller) -> wire.TakenIn:
        """The bundle, taken into the quarantine. Raises: QuarantineRefused."""
        case = await self._case(asked.session_id)
        quarantine = self._quarantine(case)
        bundle = self._parts.places.exchange / Path(asked.session_id).name / Path(asked.file).name
        if self._parts.carried is None:
            received = await quarantine.receive_bundle(bundle)
        else:
            slug = case.repository.slug
            received = await self._parts.carried.receive(quarantine, case.view.id, slug, bundle)
        return wire.TakenIn(
            references=received.references, commits=received.commits, findings=received.findings
        )

    async def publish(self, asked: wire.PublishBranch, caller: Caller) -> wire.BranchIsOut:
        """The branch is on the forge at that commit. Raises: NotApproved, NotPermitted, PublishRefused."""
        await self._parts.switch.check()
        case = await self._case(asked.session_id)
        target = f"{case.where.slug} {asked.branch} {asked.head_sha}"
        try:
            approval = await self._approved(case, asked)
            await self._may_still_write(case, approval)
        except (NotApproved, NotPermitted) as error:
            await self._audited(case, caller.name, "forge.publish", target, "refused", str(error))
            raise
        quarantine = self._quarantine(case)
        base = await self._base_of(case, quarantine)
        outgoing = Publication(case.view.id, asked.head_sha, asked.branch, base.sha, asked.expected)
        work = await inspected(case.where, quarantine, outgoing, protected=base.protected_paths)
        await self._audited(case, caller.name, "forge.publish", target)
        # The approval names this very commit, so it covers what was found in it.
        digests = (work.digest,) if approval is not None else ()
        await publish(case.forge, work, approved_digests=digests)
        return wire.BranchIsOut(compare_url=case.forge.compare_url(case.where, case.base, asked.branch))

    async def open_pull_request(self, asked: wire.Outward, caller: Caller) -> wire.PullRequestIs:
        """The pull request, in the turn's author's name. Raises: NotApproved, NotPermitted, NotLinked."""
        await self._parts.switch.check()
        case = await self._case(asked.session_id)
        approval = await self._approved(case, asked)
        await self._may_still_write(case, approval)
        await self._audited(case, caller.name, "forge.open", f"{case.where.slug} {asked.branch}")
        body = still(asked.body)

        async def open_it(credential: Credential | None) -> PullRequestRef:
            return await case.forge.open_pull_request(
                case.where,
                branch=asked.branch,
                base=case.base,
                title=asked.title,
                body=body,
                draft=asked.draft,
                as_person=credential,
            )

        if case.view.origin.trigger:
            # Nobody asked for this run in person, so nobody's token is lent to it.
            opened = await case.forge.open_draft(
                case.where, branch=asked.branch, base=case.base, title=asked.title, body=body
            )
        else:
            opened = await self._parts.rights.acting(case.forge, case.author, open_it)
        return wire.PullRequestIs(pull_request=opened)

    async def merge(self, asked: wire.Merge, caller: Caller) -> wire.PullRequestIs:
        """The merged pull request, as whoever approved it. Raises: NotApproved, NotPermitted, HeadMoved."""
        await self._parts.switch.check()
        case = await self._case(asked.session_id)
        item = case.view.approval(asked.approval_id)
        current = case.view.pull_request
        if item is None or current is None or item.request.kind != "merge":
            raise NotApproved("Nobody was asked for this merge.")
        by = await self._approver(item, case.repository)
        head_sha = item.request.head_sha or ""
        if item.request.digest != merge_digest(case.repository.slug, current.number, head_sha):
            raise NotApproved("What was approved is another pull request or another commit.")
        await self._parts.rights.require_write(case.forge, case.where, by)
        await self._audited(
            case, caller.name, "forge.merge", f"{case.where.slug} #{current.number} {head_sha}"
        )
        message = f"Merge pull request #{current.number}\n\nApproved by {by.name}."

        async def merge(credential: Credential | None) -> PullRequestRef:
            return await case.forge.merge(
                case.where, current.number, head_sha, as_person=credential, message=message
            )

        return wire.PullRequestIs(pull_request=await self._parts.rights.acting(case.forge, by, merge))

    async def _case(self, session_id: str) -> _Case:
        view = await self._parts.log.view(session_id)
        slug = view.repository.slug if view.repository else ""
        repository = self._parts.catalogue.get(slug)
        return _Case(view, repository, self._parts.forges[repository.forge], _where(repository))

    async def _base_of(self, case: _Case, quarantine: Quarantine) -> BaseCommit:
        """The forge's own base, and what the repository protects there: no worker names where to begin."""
        mirror = Mirror(quarantine.path, "")
        return await read_base(case.repository, mirror, case.base)

    def _quarantine(self, case: _Case) -> Quarantine:
        path = self._parts.places.quarantines.path(case.view.id, case.repository.slug)
        return Quarantine(path, self._parts.limits)

    async def _approved(self, case: _Case, asked: wire.Outward) -> ApprovalView | None:
        """The approval that lets the proposal out; None where the policy asks for none."""
        if asked.approval_id is None:
            if case.repository.approvals.pull_request != "auto":
                raise NotApproved(f"A pull request in {case.repository.slug} needs somebody's ✅ first.")
            proposal = Proposal(asked.title, asked.body, asked.draft)
            if needs_a_person(case.view, case.repository) and not stays_a_draft(case.view, proposal):
                raise NotApproved(
                    "This session has read untrusted text, so without somebody's ✅ it may open drafts only."
                )
            return None
        item = case.view.approval(asked.approval_id)
        if item is None or item.request.kind != "pull_request":
            raise NotApproved("Nobody was asked for this pull request.")
        await self._approver(item, case.repository)
        proposal = Proposal(asked.title, asked.body, asked.draft)
        shown = digest(case.repository.slug, asked.branch, case.base, asked.head_sha, proposal)
        if item.request.digest != shown or item.request.head_sha != asked.head_sha:
            raise NotApproved("What was approved is not what is to be published; ask again.")
        return item

    async def _approver(self, item: ApprovalView, repository: Repository) -> Person:
        """Who said yes, if the yes stands: used for this, by somebody who may, under the policy of now."""
        if item.state != "used" or item.by is None:
            raise NotApproved(f"The approval is {item.state}, so it lets nothing out.")
        if item.request.policy_version != policy_version(repository):
            raise NotApproved("The repository's policy has changed since it was approved; ask again.")
        ids = {item.by.id, *await self._parts.directory.ids(item.by.id)}
        may = reaches(await self._parts.directory.role(item.by.id), "approver")
        if not may or ids & set(item.request.excluded):
            raise NotApproved(f"{item.by.name} may not approve this.")
        return item.by

    async def _may_still_write(self, case: _Case, approval: ApprovalView | None) -> None:
        people = [case.author] if not case.view.origin.trigger else []
        if approval is not None and approval.by is not None:
            people.append(approval.by)
        for person in people:
            await self._parts.rights.require_write(case.forge, case.where, person)

    def _known(self, case: _Case, person_id: str) -> Person:
        deciders = [item.by for item in case.view.approvals if item.by is not None]
        people = [case.author, case.view.requester, *case.view.authors, *deciders]
        found = next((person for person in people if person.id == person_id), None)
        if found is None:
            raise NotPermitted(
                "That person has no part in this session.", "Ask for it in the session itself."
            )
        return found

    async def _audited(
        self, case: _Case, actor: str, action: str, target: str, outcome: Outcome = "allowed", why: str = ""
    ) -> None:
        await self._parts.audit.write(
            AuditEntry(
                actor=f"{actor} for {case.author.id}",
                action=action,
                target=target,
                outcome=outcome,
                session_id=case.view.id,
                detail={"why": why} if why else {},
            )
        )


def _where(repository: Repository) -> ForgeRepository:
    return ForgeRepository(repository.slug, repository.url, repository.default_branch)
