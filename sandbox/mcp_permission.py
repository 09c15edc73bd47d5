"""Asking people whether the agent may use a tool of a tool server, where the broker wants their yes."""

from __future__ import annotations

import json

from sandbox.agent.tool import Arguments, Suspended, ToolResult
from sandbox.agent.tool_context import ToolContext
from sandbox.broker.mcp_wire import McpTool, call_subject
from sandbox.policy import asking
from sandbox.policy.rule_of_two import sources
from session import events as e
from session.policy import policy_version

KIND: e.ApprovalKind = "command"
MAX_ARGUMENT_CHARACTERS = 2000


async def instead(context: ToolContext, tool: McpTool) -> ToolResult | Suspended | None:
    """What becomes of a call that people were asked about, other than being made; None when it may be made.

    Emits: ApprovalUsed, ApprovalVoided. Raises: StopSeen, TurnOver.
    """
    item = asking.asked(context.turn.view, context.call_id, KIND)
    if item is None or item.state == "used":
        # Used: the broker says whether it still stands, or what the call gave that was made by it.
        return None
    if item.state == "open":
        return Suspended()
    version = policy_version(context.commands.repository)
    if why := await asking.refusal(context.turn, item, tool.digest, version):
        return ToolResult(_not_called(why), "error")
    return None


async def ask(
    context: ToolContext, tool: McpTool, digest: str, arguments: Arguments
) -> ToolResult | Suspended:
    """The question whether the session may use the tool; an error where it was asked already.

    digest: of the tool as the broker sees it now.
    """
    view = await context.turn.catch_up()
    if asking.asked(view, context.call_id, KIND) is not None:
        return ToolResult(_not_called("the yes does not count for the tool as it is now"), "error")
    subject = call_subject(tool.server, tool.tool, digest)
    for item in view.approvals:
        same = (item.request.subject, item.request.turn_id) == (subject, context.turn.turn_id)
        if same and item.state == "refused":
            name = item.by.name if item.by else "somebody"
            return ToolResult(_not_called(f"{name} said no to {tool.server}/{tool.tool} before"), "error")
    request = asking.request(
        context.turn,
        context.call_id,
        KIND,
        title=f"Let the agent use {tool.server}/{tool.tool}?",
        detail=_detail(arguments, asking.visible(sources(view))),
        subject=subject,
        bound_to=digest,
        policy_version=policy_version(context.commands.repository),
        minutes=context.commands.approval_minutes,
    )
    return Suspended((request,))


def _detail(arguments: Arguments, read: str) -> str:
    shown = asking.visible(json.dumps(arguments.model_extra or {}, indent=2, ensure_ascii=False))
    more = len(shown) - MAX_ARGUMENT_CHARACTERS
    return "\n".join(
        [
            "It wants to call it with",
            asking.code_block(shown[:MAX_ARGUMENT_CHARACTERS]),
            *([f"and {more} characters more that are not shown."] if more > 0 else []),
            f"You are asked because this session has read text that strangers can write ({read}) and knows "
            "private code, and the tool's server does not say that it only reads: look for what nobody asked "
            "for.",
            "A yes lets this session use the tool until it ends, with other arguments too.",
        ]
    )


def _not_called(why: str) -> str:
    return f"Not called: {why}. Find another way, or say in your answer what a person must do."
