"""Tools of tool servers as the agent sees them: each call goes to the broker, which holds the credential."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import uuid4

from pydantic import ConfigDict

from sandbox import mcp_permission
from sandbox.agent.json_value import JsonObject
from sandbox.agent.model import ToolSchema
from sandbox.agent.tool import Arguments, Suspended, Tool, ToolResult
from sandbox.agent.tool_context import ToolContext
from sandbox.broker.mcp_wire import (
    NEEDS_APPROVAL,
    McpAsked,
    McpCall,
    McpResult,
    McpTool,
    McpTools,
    approval_subject,
)
from session import events as e
from session.broker import Broker, BrokerDown, BrokerRefused
from session.view import SessionView

TOOLS_SECONDS = 60.0
CALL_SECONDS = 150.0
"""Somewhat more than the broker's own limits, so that its sentence arrives and not the silence."""
MAX_BEFORE_CHARACTERS = 1500
MAX_NOW_CHARACTERS = 4000
MAX_SCHEMA_CHARACTERS = 2000
RAN_OUT = "its time ran out"


class ApprovalNeeded(Exception):
    """A person has to allow the tool first. `digest` is the tool's as it is now."""

    def __init__(self, message: str, digest: str) -> None:
        super().__init__(message)
        self.digest = digest


@dataclass(frozen=True, slots=True)
class McpOffer:
    """What a session's tool servers offer.

    `tools` are those that may be used, by name. `waiting` are switched off until a person says yes to them;
    the model is told nothing of them. `problems` are sentences on servers that do not answer.
    """

    tools: Mapping[str, Tool[Arguments]]
    waiting: tuple[McpTool, ...] = ()
    problems: tuple[str, ...] = ()


async def mcp_offer(broker: Broker, session_id: str) -> McpOffer:
    """What the session's tool servers offer now. Raises: BrokerDown, BrokerRefused."""
    asked = McpAsked(session_id=session_id)
    offered = await broker.call("mcp.tools", asked, McpTools, seconds=TOOLS_SECONDS)
    tools: dict[str, Tool[Arguments]] = {
        tool.name: ServerTool(broker, session_id, tool) for tool in offered.tools if tool.state == "accepted"
    }
    waiting = tuple(tool for tool in offered.tools if tool.state != "accepted")
    return McpOffer(tools, waiting, offered.problems)


async def mcp_tools(broker: Broker, session_id: str) -> Mapping[str, Tool[Arguments]]:
    """Those of the session's tool servers that may be used, by name. Raises: BrokerDown, BrokerRefused."""
    return (await mcp_offer(broker, session_id)).tools


class AnyArguments(Arguments):
    """Arguments that the tool's server looks at, and nobody before it."""

    model_config = ConfigDict(frozen=True, extra="allow")


class ServerTool(Tool[Arguments]):
    """One tool of a tool server."""

    arguments: type[Arguments] = AnyArguments
    mutates = True
    journaled = False
    at_once = True

    def __init__(self, broker: Broker, session_id: str, tool: McpTool) -> None:
        self.name = tool.name
        self.description = tool.description
        self._broker = broker
        self._session_id = session_id
        self._tool = tool

    @property
    def reads_only(self) -> bool:
        """Whether its server says that it only reads."""
        return self._tool.reads_only

    def schema(self) -> ToolSchema:
        """The tool as the model sees it, in the words of its server."""
        parameters: JsonObject = json.loads(self._tool.parameters_json)
        return ToolSchema(self.name, self.description, parameters)

    def action(self, arguments: Arguments) -> str:
        """The call in plain words for the card."""
        return f"asking {self._tool.server}: {self._tool.tool[:60]}"

    async def run(self, context: ToolContext, arguments: Arguments) -> ToolResult | Suspended:
        """What the server answers; the same call is carried out once, however often it is run.

        Emits: ApprovalUsed, ApprovalVoided; asks with ApprovalRequested where the broker wants a yes.
        """
        if (instead := await mcp_permission.instead(context, self._tool)) is not None:
            return instead
        try:
            return await self.answer(context.call_id, arguments)
        except ApprovalNeeded as needed:
            return await mcp_permission.ask(context, self._tool, needed.digest, arguments)

    async def answer(self, call_id: str, arguments: Arguments) -> ToolResult:
        """What the server answers to the call with that id, which is unique in the session.

        Raises: ApprovalNeeded.
        """
        asked = McpCall(
            session_id=self._session_id,
            call_id=call_id,
            name=self.name,
            arguments_json=json.dumps(arguments.model_extra or {}),
        )
        try:
            answer = await self._broker.call("mcp.call", asked, McpResult, seconds=CALL_SECONDS)
        except BrokerDown as error:
            return ToolResult(str(error), "error")
        except BrokerRefused as error:
            if error.kind == NEEDS_APPROVAL:
                raise ApprovalNeeded(str(error), error.detail["digest"]) from error
            return ToolResult(str(error), "error")
        text = answer.text or "(no text)"
        cut = "\n[The answer was longer; the rest was left out.]" if answer.truncated else ""
        return ToolResult(f"{text}{cut}", "error" if answer.is_error else "ok")


def mcp_approvals(
    view: SessionView, waiting: Sequence[McpTool], policy_version: str, now: datetime, minutes: float
) -> tuple[e.Event, ...]:
    """What to record so that people are asked about tools that are switched off; the turn goes on meanwhile.

    A tool is asked about once for each form of it: again only when nobody said anything in time.
    now: the record's own time. policy_version: of the session's repository, `session.policy`.
    """
    events: list[e.Event] = []
    for tool in waiting:
        subject = approval_subject(tool.server, tool.tool, tool.digest)
        earlier = [item for item in view.approvals if item.request.subject == subject]
        if any(item.state == "refused" for item in earlier):
            continue
        open_ones = [item for item in earlier if item.state == "open"]
        if any(now < item.request.expires_at for item in open_ones):
            continue
        events += [
            e.ApprovalVoided(approval_id=item.request.approval_id, reason=RAN_OUT) for item in open_ones
        ]
        events.append(_request(view, tool, subject, policy_version, now + timedelta(minutes=minutes)))
    return tuple(events)


def _request(
    view: SessionView, tool: McpTool, subject: str, policy_version: str, expires_at: datetime
) -> e.ApprovalRequested:
    return e.ApprovalRequested(
        approval_id=uuid4().hex[:16],
        kind="command",
        title=f"Use the {tool.state} tool {tool.server}/{tool.tool}?",
        detail=_detail(tool),
        digest=tool.digest,
        policy_version=policy_version,
        expires_at=expires_at,
        blocking=False,
        turn_id=view.turn.turn_id if view.turn else None,
        subject=subject,
    )


def _detail(tool: McpTool) -> str:
    now = f"It says: {_shown(tool.description, MAX_NOW_CHARACTERS)}"
    if tool.state == "changed" and tool.description == tool.before:
        now = (
            f"It still says: {_shown(tool.description, MAX_NOW_CHARACTERS)}\nOther parts of it have changed."
        )
    elif tool.state == "changed":
        now = f"It said: {_shown(tool.before, MAX_BEFORE_CHARACTERS)}\n{now.replace('says', 'says now', 1)}"
    schema = _shown(tool.parameters_json, MAX_SCHEMA_CHARACTERS)
    writes = "that it only reads" if tool.reads_only else "nothing about whether it only reads"
    what = (
        "is not as it was when it was accepted"
        if tool.state == "changed"
        else "was not there when its server was accepted"
    )
    return (
        f"The tool {what}. Until somebody says yes it is switched off, and the agent is told nothing of it. "
        f"What it says is its server's own claim.\n{now}\nIts server says {writes}.\nIts arguments: {schema}"
    )


def _shown(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text or "(nothing)"
    return f"{text[:limit]} … ({len(text) - limit} characters more)"
