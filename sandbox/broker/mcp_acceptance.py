"""Which tools are used: those pinned, and those that a person has accepted since."""

from __future__ import annotations

from collections.abc import Sequence

from sandbox.broker.mcp_listing import ListedTool
from sandbox.broker.mcp_session import McpSession
from sandbox.broker.mcp_wire import McpTool, ToolState, approval_subject
from session import events as e
from session.audit import Audit, AuditEntry
from session.log import Log
from session.mcp_pins import BY_CATALOGUE, McpPins, Pin
from session.people import Person
from session.policy import policy_version
from session.view import ApprovalView, SessionView


class Acceptance:
    """Compares what servers offer with what was accepted, and writes down what people accept."""

    def __init__(self, log: Log, pins: McpPins, audit: Audit) -> None:
        self._log = log
        self._pins = pins
        self._audit = audit

    async def judge(self, session: McpSession, server: str, tools: Sequence[ListedTool]) -> list[McpTool]:
        """Each tool with its state; those of a server that was never seen are accepted as they are.

        Emits: ApprovalUsed. Raises: AuditDown, DatabaseDown.
        """
        pins = await self._pins.of(session.repository.slug, server)
        if not pins and tools:
            pins = await self._first_sight(session, server, tools)
        return [await self._judged(session, server, tool, pins.get(tool.tool)) for tool in tools]

    async def _first_sight(
        self, session: McpSession, server: str, tools: Sequence[ListedTool]
    ) -> dict[str, Pin]:
        slug = session.repository.slug
        digests = {tool.tool: tool.digest for tool in tools}
        await self._write(session, server, {**digests, "accepted_by": BY_CATALOGUE})
        seen = {tool.tool: (tool.digest, tool.description) for tool in tools}
        await self._pins.accept_first(slug, server, seen)
        return dict(await self._pins.of(slug, server))

    async def _judged(self, session: McpSession, server: str, tool: ListedTool, pin: Pin | None) -> McpTool:
        state: ToolState = "accepted"
        if pin is None or pin.digest != tool.digest:
            accepted = await self._accepted_now(session, server, tool)
            state = "accepted" if accepted else "changed" if pin else "new"
        return McpTool(
            server=server,
            tool=tool.tool,
            name=tool.name,
            description=tool.description,
            parameters_json=tool.parameters_json,
            digest=tool.digest,
            state=state,
            before=pin.description if pin and state == "changed" else "",
            reads_only=tool.reads_only,
        )

    async def _accepted_now(self, session: McpSession, server: str, tool: ListedTool) -> bool:
        """Whether a person has said yes to the tool as it is; it is pinned then."""
        item = await self._approval(session, approval_subject(server, tool.tool, tool.digest), tool.digest)
        if item is None or item.by is None:
            return False
        by = named(item.by)
        detail = {"digest": tool.digest, "accepted_by": by, "approval": item.request.approval_id}
        await self._write(session, f"{server}/{tool.tool}", detail)
        if not await used_up(self._log, session.view.id, item.request.approval_id):
            return False
        await self._pins.accept(session.repository.slug, server, tool.tool, tool.digest, tool.description, by)
        return True

    async def _approval(self, session: McpSession, subject: str, digest: str) -> ApprovalView | None:
        """A yes to exactly this, which still stands under the policy and the clock of now."""
        now = await self._log.clock()
        policy = policy_version(session.repository)
        for item in reversed(session.view.approvals):
            request = item.request
            stands = item.state in ("given", "used") and now < request.expires_at
            if request.kind == "command" and request.subject == subject and stands:
                exact = request.digest == digest and request.policy_version == policy
                return item if exact else None
        return None

    async def _write(self, session: McpSession, target: str, detail: dict[str, str]) -> None:
        await self._audit.write(
            AuditEntry(
                actor=session.actor,
                action="mcp.accept",
                target=target,
                outcome="allowed",
                session_id=session.view.id,
                detail=detail,
            )
        )


async def used_up(log: Log, session_id: str, approval_id: str) -> bool:
    """Whether the yes is used now; False when it was taken back meanwhile. One that was used already is the
    one of an earlier try that did not come to its end.

    Emits: ApprovalUsed. Raises: DatabaseDown.
    """

    def decide(view: SessionView) -> list[e.Event]:
        item = view.approval(approval_id)
        given = item is not None and item.state == "given"
        return [e.ApprovalUsed(approval_id=approval_id)] if given else []

    item = (await log.record(session_id, decide)).approval(approval_id)
    return item is not None and item.state == "used"


def named(person: Person) -> str:
    """The person as the audit names them."""
    return f"{person.name} ({person.id})"
