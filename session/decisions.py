"""Commands by which people decide: approvals, and the agent's questions."""

from __future__ import annotations

from datetime import datetime

from session import access
from session.desk import Desk, check_text
from session.events import (
    ApprovalGiven,
    ApprovalRefused,
    ApprovalVoided,
    ApprovalWithdrawn,
    Event,
    QuestionAnswered,
)
from session.inbox import Claim
from session.people import Person
from session.refusals import Changed, NotFound, NotNow
from session.view import ApprovalView, SessionView


class DecisionCommands(Desk):
    """Commands by which people decide."""

    async def approve(
        self,
        session_id: str,
        approval_id: str,
        by: Person,
        *,
        digest: str | None = None,
        claim: Claim | None = None,
    ) -> SessionView:
        """Yes to exactly what was shown. digest: of what the person saw, when the surface knows it.

        Emits: ApprovalGiven; ApprovalVoided when its time ran out or what it showed changed (then raises).
        """
        actor = await self._actor(by)
        now = await self._log.clock()
        no_longer = ""

        def decide(view: SessionView) -> list[Event]:
            nonlocal no_longer
            item = _approval(view, approval_id)
            access.may_approve(actor, item)
            if item.state in ("given", "used"):
                return []
            _check_stands(item)
            if digest is not None and digest != item.request.digest:
                raise Changed(
                    "What you saw has changed since. Please look at the newest message and decide there."
                )
            no_longer = _outdated(view, item, now)
            if no_longer:
                return [ApprovalVoided(approval_id=approval_id, reason=no_longer)]
            return [ApprovalGiven(approval_id=approval_id, digest=item.request.digest, by=by)]

        view = await self._record(session_id, decide, claim)
        if no_longer:
            raise Changed(f"That can no longer be approved: {no_longer}. If it is still wanted, just say so.")
        return view

    async def refuse(
        self, session_id: str, approval_id: str, by: Person, *, claim: Claim | None = None
    ) -> SessionView:
        """No to what was shown, also after a yes that had no effect yet. Emits: ApprovalRefused."""
        actor = await self._actor(by)

        def decide(view: SessionView) -> list[Event]:
            item = _approval(view, approval_id)
            access.may_stop(actor, view)
            if item.state == "refused":
                return []
            if item.state == "used":
                raise NotNow("That has been approved and is already done.")
            _check_stands(item)
            return [ApprovalRefused(approval_id=approval_id, by=by)]

        return await self._record(session_id, decide, claim)

    async def withdraw(
        self, session_id: str, approval_id: str, by: Person, *, claim: Claim | None = None
    ) -> SessionView:
        """Take an own yes back before it took effect; somebody else's stays. Emits: ApprovalWithdrawn."""
        actor = await self._actor(by)

        def decide(view: SessionView) -> list[Event]:
            item = _approval(view, approval_id)
            if item.by is None or not actor.is_any_of(item.by):
                return []
            if item.state == "used":
                raise NotNow("Your approval has already taken effect, so it cannot be taken back any more.")
            return [ApprovalWithdrawn(approval_id=approval_id, by=by)] if item.state == "given" else []

        return await self._record(session_id, decide, claim)

    async def answer_question(
        self, session_id: str, question_id: str, text: str, by: Person, *, claim: Claim | None = None
    ) -> SessionView:
        """Answer what the agent asked. Emits: QuestionAnswered."""
        actor = await self._actor(by)
        check_text(text)

        def decide(view: SessionView) -> list[Event]:
            access.may_prompt(actor)
            if view.question is None or view.question.question_id != question_id:
                raise Changed(
                    "That question is no longer open. Write in the thread if you have something to add."
                )
            return [QuestionAnswered(question_id=question_id, text=text, by=by)]

        return await self._record(session_id, decide, claim)


def _approval(view: SessionView, approval_id: str) -> ApprovalView:
    item = view.approval(approval_id)
    if item is None:
        raise NotFound(
            "I cannot find what this was asking for. Please look at the newest message in the thread."
        )
    return item


def _check_stands(item: ApprovalView) -> None:
    if item.state == "refused":
        who = item.by.name if item.by else "somebody"
        raise NotNow(
            f"{who} has already said no to that. Ask me again in the thread if it should happen after all."
        )
    if item.state == "voided":
        raise Changed(f"That can no longer be approved: {item.reason}. Please look at the newest message.")


def _outdated(view: SessionView, item: ApprovalView, now: datetime) -> str:
    """Why the request no longer stands, in words; empty when it does."""
    request = item.request
    if now >= request.expires_at:
        return "its time ran out"
    if request.kind == "merge":
        if view.pull_request is None or view.pull_request.state in ("merged", "closed"):
            return "the pull request is no longer open"
        if request.head_sha is not None and request.head_sha != view.pull_request.head_sha:
            return "the pull request has new commits"
    elif request.head_sha is not None and view.changes and request.head_sha != view.changes.head_sha:
        return "the changes it showed are not the newest"
    return ""
