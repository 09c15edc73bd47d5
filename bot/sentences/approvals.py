"""What people are asked to approve, how, and what came of it."""

from __future__ import annotations

from bot.sentences.figures import short
from session import events as e
from session.view import ApprovalView

_HEADINGS: dict[e.ApprovalKind, str] = {
    "repository": "May I work in this repository?",
    "plan": "Is this plan right?",
    "command": "May I run this?",
    "egress": "May I reach this address?",
    "pull_request": "May I publish this?",
    "merge": "May I merge this?",
    "budget": "A budget is used up. May I go on?",
}


def asked(request: e.ApprovalRequested) -> str:
    """What people are asked to approve, exactly."""
    parts = [_HEADINGS[request.kind], f"**{request.title}**" if request.title else ""]
    if request.kind == "egress" and request.subject:
        parts.append(f"`{request.subject}`")
    return "\n\n".join(part for part in [*parts, request.detail] if part)


def small_print(request: e.ApprovalRequested) -> tuple[str, ...]:
    """What an approval is bound to, and how to give it."""
    until = f"until {request.expires_at:%H:%M} UTC"
    match request.kind:
        case "egress":
            yes = f"✅ allows it for this session only; answer {until}"
        case "command" if request.subject.startswith("mcp call "):
            yes = f"✅ allows what is said above; answer {until}"
        case "command":
            yes = f"✅ allows exactly this, once; answer {until}"
        case "budget":
            yes = f"✅ grants as much again; answer {until}"
        case "plan":
            yes = f"✅ lets me work by these steps, others I ask about again; answer {until}"
        case _:
            commit = f" (commit {short(request.head_sha)})" if request.head_sha else ""
            yes = f"✅ says yes to exactly this{commit}, {until}"
    no = "🛑 says no; or just write what should be different" if request.kind == "plan" else "🛑 says no"
    return (yes, no)


def settled(item: ApprovalView) -> str:
    """The line that replaces the buttons of an approval."""
    name = item.by.name if item.by else "someone"
    match item.state:
        case "given":
            return f"✅ Approved by {name}. Take ✅ away to take it back before it happens."
        case "used" if item.request.kind == "plan":
            return f"✅ Approved by {name}; I work by it."
        case "used":
            return f"✅ Approved by {name}, and done."
        case "refused":
            return f"🛑 {name} said no."
        case "voided":
            return f"No longer open: {item.reason or 'what it showed has changed'}"
        case _:
            return ""
