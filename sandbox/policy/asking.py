"""Asking people in the middle of a turn, and holding their answer against what it was given for."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from sandbox.agent.turn_log import TurnLog
from sandbox.proposal import RAN_OUT
from session import events as e
from session.view import ApprovalView, SessionView

_MARKS = re.compile(r"[\\`*_~<>\[\]&#|]|^[-+=]|^\d+[.)]")


def asked(view: SessionView, call_id: str, kind: e.ApprovalKind) -> ApprovalView | None:
    """The newest request of that kind that this call has made."""
    made = (item for item in reversed(view.approvals) if item.request.call_id == call_id)
    return next((item for item in made if item.request.kind == kind), None)


def request(
    turn: TurnLog,
    call_id: str,
    kind: e.ApprovalKind,
    *,
    title: str,
    detail: str,
    subject: str,
    bound_to: str,
    policy_version: str,
    minutes: float,
) -> e.ApprovalRequested:
    """The question of one tool call, which waits for the answer. `bound_to` is its digest."""
    return e.ApprovalRequested(
        approval_id=uuid4().hex[:16],
        kind=kind,
        title=title,
        detail=detail,
        subject=subject,
        digest=bound_to,
        policy_version=policy_version,
        expires_at=datetime.now(UTC) + timedelta(minutes=minutes),
        turn_id=turn.turn_id,
        call_id=call_id,
    )


async def refusal(turn: TurnLog, item: ApprovalView, bound_to: str, policy_version: str) -> str:
    """Why the answer is no, as the end of a sentence; empty when it is a yes, which is used now.

    Emits: ApprovalUsed, or ApprovalVoided when the yes was for something else or comes too late.
    Raises: StopSeen, TurnOver.
    """
    name = item.by.name if item.by else "somebody"
    if item.state == "refused":
        return f"{name} said no"
    if item.state == "voided":
        return f"the request no longer stands ({item.reason.rstrip('.')})"
    same = (item.request.digest, item.request.policy_version) == (bound_to, policy_version)
    if item.state == "used":
        return "" if same else "what was approved has changed since"
    no_longer = "" if same else "what was approved has changed since"
    if not no_longer and await turn.clock() >= item.request.expires_at:
        no_longer = RAN_OUT
    approval_id = item.request.approval_id
    if no_longer:
        await turn.begin(e.ApprovalVoided(approval_id=approval_id, reason=no_longer))
        return no_longer
    await turn.begin(e.ApprovalUsed(approval_id=approval_id))
    return ""


def digest(*parts: str | None) -> str:
    """What an approval of exactly these words is bound to."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def code_block(text: str) -> str:
    """Text from a model for people to judge: whole, unable to leave its block, nothing in it unseen."""
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}\n{visible(text).rstrip()}\n{fence}"


def code(text: str) -> str:
    """The same for a few words within a sentence."""
    return f"`{' '.join(visible(text).replace('`', chr(39)).split())}`"


def words(text: str) -> str:
    """The same for a line of prose: as it is, or as code where Markdown or a chat would obey a mark in it."""
    line = " ".join(visible(text).split())
    return code(text) if _MARKS.search(line) else line


def visible(text: str) -> str:
    """The text with characters that change how it is shown written out: control and direction marks."""
    return "".join(
        f"\\u{ord(each):04x}"
        if unicodedata.category(each) in ("Cc", "Cf", "Cs") and each not in "\n\t"
        else each
        for each in text
    )
