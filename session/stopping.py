"""Commands that end things or begin them anew: stop, retry, archive; feedback; the forge's word."""

from __future__ import annotations

from typing import Literal

from session import access
from session.desk import Desk, unknown_session
from session.events import (
    ApprovalVoided,
    Event,
    FeedbackGiven,
    PromptCancelled,
    PullRequestState,
    PullRequestStateChanged,
    RetryRequested,
    SessionArchived,
    SessionStopped,
    StopRequested,
)
from session.inbox import Claim
from session.log import Conflict, NoSuchSession
from session.people import Person
from session.prompting import as_written
from session.refusals import NotNow
from session.view import WAITING_STATES, PromptView, SessionView


class EndingCommands(Desk):
    """Commands that end things or begin them anew."""

    async def stop(
        self, session_id: str, by: Person, *, moving: bool = False, claim: Claim | None = None
    ) -> SessionView:
        """Stop what runs; prompts in line are kept. A session in which nothing runs stays as it is.

        moving: to go on in another repository.

        Emits: SessionStopped; StopRequested while a live worker has to let go first.
        """
        actor = await self._actor(by)
        while True:
            try:
                view = await self._log.view(session_id)
            except NoSuchSession as error:
                raise unknown_session() from error
            access.may_stop(actor, view)
            # Asked anew after each conflict: the other writer may be a worker that has just begun.
            worked_on = await self._leases.held(session_id)
            events = stopping(view, by, worked_on=worked_on, moving=moving)
            if not events and claim is None:
                return view
            try:
                await self._log.append(session_id, events, expected_seq=view.seq, claim=claim)
            except Conflict:
                continue
            return await self._log.view(session_id)

    async def stop_turn(self, session_id: str, by: Person, halt: str) -> bool:
        """Whether a turn was open, which is stopped now. Asks about no rights: for a halt of everything, with
        its reason.

        Emits: as `stop`. Raises: NoSuchSession, DatabaseDown.
        """
        while True:
            view = await self._log.view(session_id)
            if not view.turn_open:
                return False
            events = stopping(view, by, worked_on=await self._leases.held(session_id), halt=halt)
            try:
                if events:
                    await self._log.append(session_id, events, expected_seq=view.seq)
            except Conflict:
                continue
            return True

    async def retry(self, session_id: str, by: Person, *, claim: Claim | None = None) -> SessionView:
        """Try the last prompt again. Emits: RetryRequested."""
        actor = await self._actor(by)

        def decide(view: SessionView) -> list[Event]:
            access.may_prompt(actor)
            item = _to_retry(view)
            return [RetryRequested(by=by, prompt_id=item.prompt.id)] if item else []

        return await self._record(session_id, decide, claim)

    async def archive(self, session_id: str, by: Person, *, claim: Claim | None = None) -> SessionView:
        """Close the session for good. Emits: PromptCancelled, ApprovalVoided, SessionArchived."""
        actor = await self._actor(by)

        def decide(view: SessionView) -> list[Event]:
            access.may_stop(actor, view)
            if view.archived:
                return []
            if view.turn_open:
                raise NotNow("I am still at work here. Stop me with 🛑 first, then archive.")
            unread = [event for prompt in view.unread for event in as_written(view, prompt)]
            waiting = [*(item.prompt for item in view.waiting_prompts), *view.unread]
            cancelled = [PromptCancelled(prompt_id=prompt.id, by=by) for prompt in waiting]
            return [*unread, *cancelled, *_voided(view, "the session was archived"), SessionArchived(by=by)]

        return await self._record(session_id, decide, claim)

    async def give_feedback(
        self, session_id: str, verdict: Literal["good", "bad"], by: Person, *, claim: Claim | None = None
    ) -> SessionView:
        """Say whether the answer was good. Emits: FeedbackGiven."""
        actor = await self._actor(by)

        def decide(view: SessionView) -> list[Event]:
            access.may_prompt(actor)
            if not view.answer:
                raise NotNow("There is no answer to rate yet. Thanks all the same!")
            return [FeedbackGiven(verdict=verdict, by=by)]

        return await self._record(session_id, decide, claim)

    async def record_pull_request_state(
        self, slug: str, number: int, state: PullRequestState, by_login: str, *, claim: Claim | None = None
    ) -> SessionView | None:
        """The forge says what became of a pull request; None when it is none of ours.

        Emits: PullRequestStateChanged; ApprovalVoided for merges that are moot.
        """
        session_id = await self._log.find_by_pull_request(slug, number)
        if session_id is None:
            return None

        def decide(view: SessionView) -> list[Event]:
            known = view.pull_request
            # Webhooks may come late and out of order; nothing follows a merge.
            if known is None or known.state in (state, "merged"):
                return []
            changed = PullRequestStateChanged(number=number, state=state, by=by_login)
            if state in ("merged", "closed"):
                return [changed, *_voided(view, f"the pull request is {state}", kind="merge")]
            return [changed]

        return await self._record(session_id, decide, claim)


def stopping(
    view: SessionView, by: Person, *, worked_on: bool, halt: str | None = None, moving: bool = False
) -> list[Event]:
    """The events of a stop; none where nothing runs. worked_on: a worker has the session."""
    turn_id = view.turn.turn_id if view.turn and view.turn_open else None
    if turn_id is None:
        if view.state in ("routing", "awaiting_repository", "queued"):
            return [SessionStopped(turn_id=None, by=by, moving=moving)]
        given = any(a.state == "given" for a in view.approvals) and not view.archived
        return [*_voided(view, f"{by.name} stopped it")] if given else []
    if worked_on and view.state not in WAITING_STATES:
        # Who stopped one session did not say that all work waits: a halt asks once more.
        asked = view.stop_requested is not None and (halt is None or view.stop_halt is not None)
        return [] if asked else [StopRequested(by=by, halt=halt, moving=moving)]
    stopped = SessionStopped(turn_id=turn_id, by=by, halt=halt, moving=moving)
    return [*_voided(view, f"{by.name} stopped it"), stopped]


def _voided(view: SessionView, reason: str, kind: str | None = None) -> list[ApprovalVoided]:
    return [
        ApprovalVoided(approval_id=item.request.approval_id, reason=reason)
        for item in view.approvals
        if item.state in ("open", "given") and kind in (None, item.request.kind)
    ]


def _to_retry(view: SessionView) -> PromptView | None:
    """The prompt to try again; None when it is in line already."""
    if view.archived:
        raise NotNow("This session is archived. Mention me in a new message and I will start a fresh one.")
    if view.turn_open:
        raise NotNow("I am at work on it right now.")
    ended = [item for item in view.prompts if item.state in ("failed", "stopped")]
    if view.state in ("stopped", "failed"):
        candidates = ended[-1:] or list(view.waiting_prompts[:1])
        if candidates:
            return candidates[0]
    if view.state in ("queued", "routing"):
        return ended[-1] if ended and view.failure else None
    raise NotNow("There is nothing to try again here. Write what you would like changed and I will go on.")
