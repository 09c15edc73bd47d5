"""The rule of two for tool servers: who has read what strangers wrote writes nowhere without a yes."""

from __future__ import annotations

from dataclasses import replace

from sandbox.broker.mcp_acceptance import named, used_up
from sandbox.broker.mcp_listing import ListedTool
from sandbox.broker.mcp_session import McpRefused, McpSession
from sandbox.broker.mcp_wire import call_subject
from sandbox.policy.rule_of_two import needs_a_person
from session.audit import Audit, AuditEntry, Outcome
from session.log import Log
from session.policy import policy_version
from session.view import ApprovalView


class McpNeedsApproval(McpRefused):
    """A person has to allow the tool to this session first. `digest` is the tool's as it is now."""

    def __init__(self, server: str, tool: str, digest: str) -> None:
        super().__init__(
            f"This session has read text that strangers can write, and {server}/{tool} may write somewhere: "
            "somebody has to allow it with ✅ first."
        )
        self.digest = digest


class Consent:
    """Looks whether a tool may be called in view of what its session has read."""

    def __init__(self, log: Log, audit: Audit) -> None:
        self._log = log
        self._audit = audit

    async def check(self, session: McpSession, server: str, tool: ListedTool) -> None:
        """Return if the tool only reads, or the session need not ask, or somebody has said yes to the tool.

        Emits: ApprovalUsed. Raises: McpNeedsApproval, AuditDown, DatabaseDown.
        """
        # Not the view with which the call began: the box may have read something since.
        session = replace(session, view=await self._log.view(session.view.id))
        if tool.reads_only or not needs_a_person(session.view, session.repository):
            return
        item = await self._yes(session, call_subject(server, tool.tool, tool.digest), tool.digest)
        if item is None or item.by is None:
            await self._write(session, tool, "refused", {"why": "no approval"})
            raise McpNeedsApproval(server, tool.tool, tool.digest)
        approval_id = item.request.approval_id
        await self._write(session, tool, "allowed", {"approval": approval_id, "approved_by": named(item.by)})
        if not await used_up(self._log, session.view.id, approval_id):
            raise McpNeedsApproval(server, tool.tool, tool.digest)

    async def _yes(self, session: McpSession, subject: str, digest: str) -> ApprovalView | None:
        """The newest answer to exactly this under the policy of now, if it is a yes: one that took effect
        holds for the session, one that did not runs out."""
        policy = policy_version(session.repository)
        for item in reversed(session.view.approvals):
            request = item.request
            asked = (request.kind, request.subject, request.digest, request.policy_version)
            if asked != ("command", subject, digest, policy) or item.state in ("open", "voided"):
                continue
            in_time = item.state == "used" or await self._log.clock() < request.expires_at
            may = item.by is not None and item.by.id not in request.excluded
            return item if item.state in ("given", "used") and in_time and may else None
        return None

    async def _write(
        self, session: McpSession, tool: ListedTool, outcome: Outcome, detail: dict[str, str]
    ) -> None:
        await self._audit.write(
            AuditEntry(
                actor=session.actor,
                action="mcp.consent",
                target=tool.name,
                outcome=outcome,
                session_id=session.view.id,
                detail={"digest": tool.digest, **detail},
            )
        )
