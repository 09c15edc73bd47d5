"""Effects on the forge, each once as seen from outside: the branch, the pull request.

Every one is written into the ledger before it is tried; what an earlier try left is found by reading the
forge.
"""

from __future__ import annotations

from dataclasses import dataclass

from sandbox.agent.turn_log import TurnLog
from sandbox.base_commit import BaseCommit
from sandbox.broker import wire
from sandbox.broker.client import BrokerForge, outward
from sandbox.broker.quarantine import Quarantine
from sandbox.forge.protocol import NotLinked, PullRequestRef
from sandbox.proposal import Proposal
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
        forge: BrokerForge,
        effects: Effects,
    ) -> None:
        self._turn = turn
        self._base = base
        self._quarantine = quarantine
        self._forge = forge
        self._effects = effects

    async def publish(
        self, head_sha: str, branch: str, proposal: Proposal, approval_id: str | None
    ) -> Published:
        """The branch at `head_sha` and its pull request, opened as the turn's author or brought up to date.

        `approval_id` names the approval that lets it out; None where the policy asks for none.
        Emits: BranchPublished, PullRequestOpened or PullRequestUpdated, ApprovalVoided.
        Raises: PublishRefused, NotPermitted, ForgeError, StaleEpoch.
        """
        asked = outward(self._turn.session_id, head_sha, branch, proposal, approval_id)
        compare_url = await self._publish_branch(asked)
        current = self._turn.view.pull_request
        published = e.BranchPublished(branch=branch, head_sha=head_sha, compare_url=compare_url)
        if current is not None and current.branch == branch and current.state in ("open", "draft"):
            updated = e.PullRequestUpdated(number=current.number, head_sha=head_sha)
            await self._turn.append(published, updated, *self._outdated_merges(head_sha))
            reference = await self._forge.pull_request(self._turn.session_id, current.number)
            return Published(branch, compare_url, reference, updated=True)
        await self._turn.append(published)
        try:
            reference = await self._open(asked)
        except NotLinked as error:
            return Published(branch, compare_url, None, how_to_link=str(error))
        return Published(branch, compare_url, reference)

    async def _publish_branch(self, asked: wire.Outward) -> str:
        """Where the branch can be compared, once it is on the forge."""
        op_key = f"{self._turn.session_id}:publish:{asked.head_sha}"
        effect = await self._effects.begin(op_key, self._turn.session_id, self._turn.epoch)
        if effect.state == "done" and effect.result is not None:
            return effect.result
        last = self._turn.view.published
        going = wire.PublishBranch(
            **asked.model_dump(),
            expected=last.head_sha if last is not None and last.branch == asked.branch else None,
        )
        # A branch that an earlier try published counts as published: the desk looks before it pushes.
        compare_url = await self._forge.publish(going)
        await self._effects.finish(op_key, compare_url)
        return compare_url

    async def _open(self, asked: wire.Outward) -> PullRequestRef:
        op_key = f"{self._turn.session_id}:pull_request:{asked.branch}"
        effect = await self._effects.begin(op_key, self._turn.session_id, self._turn.epoch)
        reference = None
        if effect.state == "done" and effect.result is not None:
            reference = await self._forge.pull_request(self._turn.session_id, int(effect.result))
        elif effect.state == "begun":
            reference = await self._forge.find_pull_request(self._turn.session_id, asked.branch)
        if reference is None:
            reference = await self._forge.open_pull_request(asked)
        await self._effects.finish(op_key, str(reference.number))
        opened = e.PullRequestOpened(
            number=reference.number,
            url=reference.url,
            branch=asked.branch,
            base=reference.base,
            head_sha=asked.head_sha,
            title=reference.title,
            draft=reference.state == "draft",
            author=reference.author,
            adopted=reference.adopted,
        )
        await self._turn.append(opened)
        return reference

    def _outdated_merges(self, head_sha: str) -> list[e.Event]:
        return [
            e.ApprovalVoided(approval_id=item.request.approval_id, reason="The pull request has new commits.")
            for item in self._turn.view.approvals
            if item.request.kind == "merge"
            and item.state in ("open", "given")
            and item.request.head_sha != head_sha
        ]
