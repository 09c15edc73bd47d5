"""From a workspace to a pull request: recorded, checked, approved, published."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from sandbox.agent.tool import Suspended, ToolOutcome, ToolResult
from sandbox.agent.turn_log import TurnLog
from sandbox.base_commit import BaseCommit
from sandbox.broker.changes import FileChange, changes
from sandbox.broker.client import BrokerForge
from sandbox.broker.inspection import Finding
from sandbox.broker.publishing import PublishRefused
from sandbox.broker.quarantine import Quarantine, QuarantineRefused
from sandbox.broker.rights import NotPermitted
from sandbox.environments.protocol import SandboxFailed
from sandbox.forge.protocol import ForgeError, ForgeUnavailable
from sandbox.holding import Holding
from sandbox.outgoing import Outgoing, Published
from sandbox.policy import rule_of_two
from sandbox.proposal import (
    RAN_OUT,
    Proposal,
    branch_name,
    commit_message,
    contributors,
    detail,
    digest,
    verdict_sentence,
)
from sandbox.verification import Verifier, failures
from sandbox.workspace import Workspace
from session import events as e
from session.artifacts import MAX_BYTES, Artifacts
from session.effects import Effects
from session.policy import policy_version
from session.view import ApprovalView

ROUNDS = 3
"""So often failing checks go back to the agent; then the answer says that they fail."""


@dataclass(frozen=True, slots=True)
class Conclusion:
    """Whether the turn may end. `refusal` goes back to the agent; `warning` goes into the answer."""

    refusal: str | None = None
    warning: str | None = None


@dataclass(frozen=True, slots=True)
class PublicationParts:
    """What publishing needs of the house. `approval_minutes` is how long a request can be approved."""

    forge: BrokerForge
    effects: Effects
    artifacts: Artifacts
    verifier: Verifier
    approval_minutes: float


class Publication:
    """One turn's way from the workspace to the forge."""

    def __init__(
        self,
        turn: TurnLog,
        workspace: Workspace,
        base: BaseCommit,
        quarantine: Quarantine,
        parts: PublicationParts,
    ) -> None:
        self._turn = turn
        self._workspace = workspace
        self._base = base
        self._quarantine = quarantine
        self._parts = parts
        self._holding = Holding(turn, base, quarantine)
        self._outgoing = Outgoing(turn, base, quarantine, parts.forge, parts.effects)

    async def propose(self, call_id: str, proposal: Proposal) -> ToolOutcome:
        """What became of the proposal: asked about, published, or sent back with the reason.

        Emits: ChangesRecorded, VerificationFinished, ApprovalRequested, ApprovalUsed, WorkHeldBack,
        HoldsLifted, and what publishing does.
        """
        approvals = self._turn.view.approvals
        asked = next((item for item in approvals if item.request.call_id == call_id), None)
        if self._turn.view.origin.trigger:
            proposal = replace(proposal, draft=True)
        try:
            if asked is None:
                return await self._prepare(call_id, proposal)
            return await self._decided(asked, proposal)
        except ForgeUnavailable:
            raise  # the turn is paused, and comes back here with the approval it has
        except SandboxFailed as error:
            return ToolResult(str(error), "error")
        except QuarantineRefused as error:
            await self._holding.not_taken(error)
            return ToolResult(str(error), "error")
        except (NotPermitted, PublishRefused, ForgeError) as error:
            said = f"{error} {error.advice}" if isinstance(error, NotPermitted) else str(error)
            await self._holding.not_published(said)
            return ToolResult(said, "error")

    async def conclude(self) -> Conclusion:
        """Whether the work may be reported done: nothing changed, or checked on exactly what is there.

        Emits: ChangesRecorded, VerificationFinished, WorkHeldBack, HoldsLifted.
        """
        try:
            head_sha = await self._record_changes(self._turn.view.title)
        except SandboxFailed as error:
            return Conclusion(warning=_left_inside(error))
        except QuarantineRefused as error:
            await self._holding.not_taken(error)
            return Conclusion(warning=_left_inside(error))
        await self._holding.look_again(head_sha)
        if head_sha is None:
            return Conclusion()
        verification = await self._verified(head_sha)
        if verification.verdict == "failed" and self._failed_rounds() < ROUNDS:
            return Conclusion(refusal=_sent_back(verification))
        if verification.verdict == "failed":
            return Conclusion(warning=f"Note: {verdict_sentence(verification)}")
        return Conclusion()

    async def _prepare(self, call_id: str, proposal: Proposal) -> ToolOutcome:
        head_sha = await self._record_changes(proposal.title)
        if head_sha is None:
            return ToolResult("Nothing differs from the base branch: there is nothing to propose.", "error")
        findings = await self._holding.inspect(head_sha)
        if any(finding.blocking for finding in findings):
            return ToolResult(_must_not_leave(findings), "error")
        verification = await self._verified(head_sha)
        if verification.verdict == "failed":
            more = "" if self._failed_rounds() < ROUNDS else _GIVE_UP
            return ToolResult(f"{_sent_back(verification)}{more}", "error")
        # Checks that are named and did not run (a change may kill its own box) leave it to a person.
        unchecked = verification.verdict == "not_run" and bool(self._base.verify)
        if self._goes_without_asking(proposal) and not findings and not unchecked:
            await self._turn.check_stop()
            return await self._publish(head_sha, proposal, None)
        return Suspended((self._request(call_id, head_sha, proposal, verification, findings),))

    async def _decided(self, asked: ApprovalView, proposal: Proposal) -> ToolOutcome:
        request = asked.request
        name = asked.by.name if asked.by else "somebody"
        match asked.state:
            case "open":
                return Suspended()
            case "refused":
                return ToolResult(f"The pull request was refused by {name}; it was not opened.", "error")
            case "voided":
                return ToolResult(
                    f"The request no longer stands: {asked.reason.rstrip('.')}. Nothing was published. "
                    "If it still stands after what people said, call open_pull_request again.",
                    "error",
                )
        head_sha = request.head_sha or ""
        if self._digest(head_sha, proposal) != request.digest or self._policy() != request.policy_version:
            if asked.state == "given":
                reason = "What it showed has changed."
                await self._turn.begin(e.ApprovalVoided(approval_id=request.approval_id, reason=reason))
            return ToolResult("What was approved has changed since; call open_pull_request again.", "error")
        if asked.state == "given" and await self._turn.clock() >= request.expires_at:
            await self._turn.begin(e.ApprovalVoided(approval_id=request.approval_id, reason=RAN_OUT))
            return ToolResult(_too_late(name), "error")
        if asked.by is not None:
            await self._parts.forge.require_write(self._turn.session_id, asked.by)
        if asked.state == "given":
            await self._turn.begin(e.ApprovalUsed(approval_id=request.approval_id))
        return await self._publish(head_sha, proposal, asked)

    async def _publish(self, head_sha: str, proposal: Proposal, asked: ApprovalView | None) -> ToolOutcome:
        branch = branch_name(self._turn.view, proposal.title)
        approval_id = asked.request.approval_id if asked is not None else None
        done = await self._outgoing.publish(head_sha, branch, proposal, approval_id)
        return ToolResult(_told(done, self._turn.author.name))

    async def _record_changes(self, title: str) -> str | None:
        """The head of the work in the quarantine, recorded with its diff; None when there is none."""
        view = self._turn.view
        message = commit_message(title, self._turn.author, contributors(view))
        head_sha = await self._workspace.hand_over(message)
        if head_sha is None or (view.changes is not None and view.changes.head_sha == head_sha):
            return head_sha
        found = await changes(self._quarantine.path, self._base.sha, head_sha)
        artifact = await self._parts.artifacts.put(
            self._turn.session_id, "diff", "changes.json", "application/json", _diff_content(found.files)
        )
        recorded = e.ChangesRecorded(
            base_sha=found.start,
            head_sha=head_sha,
            files=found.size.files,
            insertions=found.size.insertions,
            deletions=found.size.deletions,
            diff_artifact=artifact.artifact_id,
        )
        await self._turn.append(artifact, recorded)
        return head_sha

    async def _verified(self, head_sha: str) -> e.VerificationFinished:
        """The verdict on that commit; one that passed before, or could not be had, is not asked for again."""
        last = self._turn.view.verification
        if last is not None and last.head_sha == head_sha and last.verdict == "passed":
            return last
        verification = await self._parts.verifier.verify(
            self._turn.session_id, self._turn.turn_id, self._base, self._quarantine, head_sha
        )
        await self._turn.append(verification)
        return verification

    def _goes_without_asking(self, proposal: Proposal) -> bool:
        repository, view = self._base.repository, self._turn.view
        if repository.approvals.pull_request != "auto":
            return False
        return rule_of_two.stays_a_draft(view, proposal) or not rule_of_two.needs_a_person(view, repository)

    def _failed_rounds(self) -> int:
        verdicts = (r.event for r in self._turn.turn_records if isinstance(r.event, e.VerificationFinished))
        return sum(verification.verdict == "failed" for verification in verdicts)

    def _request(
        self,
        call_id: str,
        head_sha: str,
        proposal: Proposal,
        verification: e.VerificationFinished,
        findings: tuple[Finding, ...],
    ) -> e.ApprovalRequested:
        current = self._turn.view.pull_request
        update = current is not None and current.state in ("open", "draft")
        what = f"Update pull request #{current.number}" if current and update else "Open a pull request"
        changed = self._turn.view.changes
        return e.ApprovalRequested(
            approval_id=uuid4().hex[:16],
            kind="pull_request",
            title=f"{what}: {proposal.title}",
            detail=detail(
                self._base.repository,
                self._base.branch,
                changed,
                verification,
                findings,
                proposal,
                self._why(),
            ),
            digest=self._digest(head_sha, proposal),
            head_sha=head_sha,
            policy_version=self._policy(),
            expires_at=datetime.now(UTC) + timedelta(minutes=self._parts.approval_minutes),
            turn_id=self._turn.turn_id,
            call_id=call_id,
        )

    def _digest(self, head_sha: str, proposal: Proposal) -> str:
        branch = branch_name(self._turn.view, proposal.title)
        return digest(self._base.repository.slug, branch, self._base.branch, head_sha, proposal)

    def _why(self) -> str:
        return rule_of_two.why(self._turn.view, self._base.repository)

    def _policy(self) -> str:
        return policy_version(self._base.repository)


def _too_late(name: str) -> str:
    return (
        f"{name} approved it, but before it could be carried out its time ran out; nothing was published. "
        "If it still stands, call open_pull_request again, so that people are asked anew."
    )


_GIVE_UP = (
    f"\n\nThe checks have failed {ROUNDS} times in this turn. If you cannot repair it, call finish and say "
    f"plainly "
    "what fails and what you know about why."
)


def _sent_back(verification: e.VerificationFinished) -> str:
    return (
        "The repository's checks failed on this commit, in a fresh sandbox. Repair the cause, not the "
        "check.\n\n"
        f"{failures(verification)}"
    )


def _left_inside(error: Exception) -> str:
    return f"Note: what was changed is still in the sandbox, and could not be taken out of it. {error}"


def _must_not_leave(findings: tuple[Finding, ...]) -> str:
    lines = [f"- {f.path} in {f.commit[:12]}: {f.detail}" for f in findings if f.blocking]
    return (
        "This must not leave the sandbox as it is:\n"
        + "\n".join(lines)
        + "\nTake it out of the commits themselves (git reset --soft, then remove it), "
        "not only out of the last one."
    )


def _told(done: Published, author: str) -> str:
    if done.pull_request is None:
        return (
            f"The branch {done.branch} is published, but no pull request was opened: {done.how_to_link} "
            f"{author} can link the account (sign in on the companion page, then send Bellhop the code from "
            f"the account page) and ask again, or open it by hand: {done.compare_url}. Say so in the summary."
        )
    verb = "is up to date" if done.updated else "adopted" if done.pull_request.adopted else "opened"
    return f"Pull request #{done.pull_request.number} {verb}: {done.pull_request.url}"


def _diff_content(files: list[FileChange]) -> bytes:
    """The diff as the pages read it; patches are left out from the largest on until it fits."""
    listed = [asdict(file) for file in files]
    content = json.dumps(listed).encode()
    while len(content) > MAX_BYTES:
        largest = max(listed, key=lambda file: len(file["patch"] or ""))
        if not largest["patch"]:
            listed = listed[: len(listed) // 2]
        largest["patch"] = None
        content = json.dumps(listed).encode()
    return content
