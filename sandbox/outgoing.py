"""Effects on the forge, each once as seen from outside: the branch, the pull request.

Every one is written into the ledger before it is tried; what an earlier try left is found by reading the
forge.
"""

from __future__ import annotations

from dataclasses import dataclass

from sandbox.agent.turn_log import TurnLog
from sandbox.base_commit import BaseCommit
from sandbox.broker.changes import merge_base
from sandbox.broker.publishing import Publication as Branch
from sandbox.broker.publishing import approval_digest, publish
from sandbox.broker.quarantine import Quarantine
from sandbox.forge.protocol import Credential, Forge, NotLinked, PullRequestRef
from sandbox.proposal import Proposal
from sandbox.rights import Rights
from session import events as e
from session.effects import Effects


@dataclass(frozen=True, slots=True)
class Published:
    """What is on the forge now. `pull_request` is None where the author has no account to open it with, and
    `how_to_link` says then what to do."""

    branch: str
    compare_url: str
    pull_request: PullRequestRef | None
    updated: bool = False
    how_to_link: str = ""


class Outgoing:
    """Publishes one session's work."""

    def __init__(
        self,
        turn: TurnLog,
        base: BaseCommit,
        quarantine: Quarantine,
        forge: Forge,
        rights: Rights,
        effects: Effects,
    ) -> None:
        self._turn = turn
        self._base = base
        self._quarantine = quarantine
        self._forge = forge
        self._rights = rights
        self._effects = effects

    async def publish(self, head_sha: str, branch: str, proposal: Proposal, *, approved: bool) -> Published:
        """The branch at `head_sha` and its pull request, opened as the turn's author or brought up to date.

        `approved` lets protected paths pass; without it they are refused.
        Emits: BranchPublished, PullRequestOpened or PullRequestUpdated, ApprovalVoided.
        Raises: PublishRefused, ForgeError, StaleEpoch.
        """
        await self._publish_branch(head_sha, branch, approved)
        compare_url = self._forge.compare_url(self._base.forge_repository, self._base.branch, branch)
        current = self._turn.view.pull_request
        published = e.BranchPublished(branch=branch, head_sha=head_sha, compare_url=compare_url)
        if current is not None and current.branch == branch and current.state in ("open", "draft"):
            updated = e.PullRequestUpdated(number=current.number, head_sha=head_sha)
            await self._turn.append(published, updated, *self._outdated_merges(head_sha))
            reference = await self._forge.pull_request(self._base.forge_repository, current.number)
            return Published(branch, compare_url, reference, updated=True)
        await self._turn.append(published)
        try:
            reference = await self._open(branch, head_sha, proposal)
        except NotLinked as error:
            return Published(branch, compare_url, None, how_to_link=str(error))
        return Published(branch, compare_url, reference)

    async def _publish_branch(self, head_sha: str, branch: str, approved: bool) -> None:
        repository = self._base.forge_repository
        op_key = f"{self._turn.session_id}:publish:{head_sha}"
        effect = await self._effects.begin(op_key, self._turn.session_id, self._turn.epoch)
        if effect.state == "done":
            return
        there = await self._forge.branch_head(repository, branch) if effect.state == "begun" else None
        if there != head_sha:
            await self._push(head_sha, branch, approved)
        await self._effects.finish(op_key, branch)

    async def _push(self, head_sha: str, branch: str, approved: bool) -> None:
        last = self._turn.view.published
        expected = last.head_sha if last is not None and last.branch == branch else None
        start = await merge_base(self._quarantine.path, self._base.sha, head_sha)
        repository = self._base.forge_repository
        outgoing = Branch(self._turn.session_id, head_sha, branch, start, expected)
        digests: tuple[str, ...] = ()
        if approved:
            findings = await self._quarantine.inspect(start, head_sha)
            digests = (approval_digest(repository, outgoing, findings),)
        await publish(self._forge, repository, self._quarantine, outgoing, approved_digests=digests)

    async def _open(self, branch: str, head_sha: str, proposal: Proposal) -> PullRequestRef:
        repository = self._base.forge_repository
        op_key = f"{self._turn.session_id}:pull_request:{branch}"
        effect = await self._effects.begin(op_key, self._turn.session_id, self._turn.epoch)
        reference = None
        if effect.state == "done" and effect.result is not None:
            reference = await self._forge.pull_request(repository, int(effect.result))
        elif effect.state == "begun":
            reference = await self._forge.find_pull_request(repository, branch)
        if reference is None:
            reference = await self._open_as_author(branch, proposal)
        await self._effects.finish(op_key, str(reference.number))
        opened = e.PullRequestOpened(
            number=reference.number,
            url=reference.url,
            branch=branch,
            base=reference.base,
            head_sha=head_sha,
            title=reference.title,
            draft=reference.state == "draft",
            author=reference.author,
            adopted=reference.adopted,
        )
        await self._turn.append(opened)
        return reference

    async def _open_as_author(self, branch: str, proposal: Proposal) -> PullRequestRef:
        """The only step that the author's own token is for: all else is asked as Bellhop, whose refusals say
        nothing about that token."""

        async def open_it(credential: Credential | None) -> PullRequestRef:
            return await self._forge.open_pull_request(
                self._base.forge_repository,
                branch=branch,
                base=self._base.branch,
                title=proposal.title,
                body=proposal.body,
                draft=proposal.draft,
                as_person=credential,
            )

        return await self._rights.acting(self._forge, self._turn.author, open_it)

    def _outdated_merges(self, head_sha: str) -> list[e.Event]:
        return [
            e.ApprovalVoided(approval_id=item.request.approval_id, reason="The pull request has new commits.")
            for item in self._turn.view.approvals
            if item.request.kind == "merge"
            and item.state in ("open", "given")
            and item.request.head_sha != head_sha
        ]
