"""How events make a session's state: a pure fold.

`apply(view, recorded)` gives the next view; it reads no clock and no database, so old state plus new events
is always the same as a fresh fold.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from functools import singledispatch
from typing import Literal

from session import events as e
from session.view import (
    ApprovalView,
    Failure,
    PromptState,
    PromptView,
    PullRequestView,
    SessionView,
    State,
    TurnView,
)


class FoldError(Exception):
    """The log does not begin with SessionOpened, or has a gap: it must not be shown as if it were whole."""


def fold(records: Iterable[e.Recorded], view: SessionView | None = None) -> SessionView:
    """The view after all `records`, starting from `view` or from nothing.

    Raises: FoldError, when a record is not the one that follows.
    """
    for record in records:
        view = apply(view, record)
    if view is None:
        raise FoldError("there are no events to fold")
    return view


def apply(view: SessionView | None, record: e.Recorded) -> SessionView:
    """The view after one more event.

    Raises: FoldError, when the record is not the one that follows `view`.
    """
    if view is None:
        return _opened(record)
    if record.seq != view.seq + 1 or record.session_id != view.id:
        raise FoldError(f"event {record.seq} of session {record.session_id} does not follow event {view.seq}")
    changed = _apply(record.event, view, record)
    if view.archived:  # what comes late is kept, but wakes nothing
        changed = _with(changed, state="archived")
    return changed.model_copy(update={"seq": record.seq, "updated_at": record.at})


def _opened(record: e.Recorded) -> SessionView:
    event = record.event
    if not isinstance(event, e.SessionOpened) or record.seq != 1:
        raise FoldError(f"session {record.session_id} does not begin with SessionOpened")
    return SessionView(
        id=record.session_id,
        seq=record.seq,
        state="routing",
        title=event.title,
        origin=event.origin,
        requester=event.requester,
        created_at=record.at,
        updated_at=record.at,
    )


@singledispatch
def _apply(event: e.Event, view: SessionView, record: e.Recorded) -> SessionView:
    raise FoldError(f"no rule says what {type(event).__name__} changes in session {view.id}")


def _with(view: SessionView, **changes: object) -> SessionView:
    return view.model_copy(update=changes)


@_apply.register
def _(event: e.SessionOpened, view: SessionView, record: e.Recorded) -> SessionView:
    raise FoldError(f"session {view.id} was opened twice")


@_apply.register
def _(event: e.TitleChanged, view: SessionView, record: e.Recorded) -> SessionView:
    return _with(view, title=event.title)


# Prompts


def _set_prompt(view: SessionView, prompt_id: str, **changes: object) -> tuple[PromptView, ...]:
    return tuple(p.model_copy(update=changes) if p.prompt.id == prompt_id else p for p in view.prompts)


@_apply.register
def _(event: e.PromptQueued, view: SessionView, record: e.Recorded) -> SessionView:
    prompts = (*view.prompts, PromptView(prompt=event.prompt, seq=record.seq))
    if view.state == "awaiting_repository":  # its words may tell which repository is meant
        return _with(view, prompts=prompts, state="routing", asked=None)
    if view.state not in ("idle", "stopped", "failed"):
        return _with(view, prompts=prompts)
    return _with(view, prompts=prompts, state="queued" if view.repository else "routing", failure=None)


@_apply.register
def _(event: e.PromptEdited, view: SessionView, record: e.Recorded) -> SessionView:
    item = view.prompt(event.prompt_id)
    if item is None:
        return view
    reworded = item.prompt.model_copy(update={"text": event.text})
    return _with(view, prompts=_set_prompt(view, event.prompt_id, prompt=reworded))


@_apply.register
def _(event: e.PromptCancelled, view: SessionView, record: e.Recorded) -> SessionView:
    after = _with(view, prompts=_set_prompt(view, event.prompt_id, state="cancelled"))
    if view.state in ("queued", "routing", "awaiting_repository") and not after.waiting_prompts:
        return _with(after, state="idle")
    return after


@_apply.register
def _(event: e.SteerRequested, view: SessionView, record: e.Recorded) -> SessionView:
    item = view.prompt(event.prompt_id)
    if item is None:
        return view
    marked = item.prompt.model_copy(update={"steer": True})
    return _with(view, prompts=_set_prompt(view, event.prompt_id, prompt=marked))


@_apply.register
def _(event: e.PromptSteered, view: SessionView, record: e.Recorded) -> SessionView:
    return _with(view, prompts=_set_prompt(view, event.prompt_id, state="running"))


# Routing


@_apply.register
def _(event: e.RepositoryChosen, view: SessionView, record: e.Recorded) -> SessionView:
    state = view.state
    if state in ("routing", "awaiting_repository"):
        state = "queued" if view.waiting_prompts else "idle"
    return _with(view, repository=event, asked=None, state=state)


@_apply.register
def _(event: e.RepositoryAsked, view: SessionView, record: e.Recorded) -> SessionView:
    return _with(view, asked=event, state="awaiting_repository")


@_apply.register
def _(event: e.RoutingFailed, view: SessionView, record: e.Recorded) -> SessionView:
    return _with(view, state="failed", failure=Failure(cause=event.cause, advice=event.advice))


# Turns


def _set_turn(view: SessionView, **changes: object) -> TurnView | None:
    return view.turn.model_copy(update=changes) if view.turn else None


@_apply.register
def _(event: e.TurnStarted, view: SessionView, record: e.Recorded) -> SessionView:
    turn = TurnView(
        turn_id=event.turn_id,
        prompt_id=event.prompt_id,
        number=view.turns + 1,
        model=event.model,
        epoch=event.epoch,
        started_at=record.at,
    )
    return _with(
        view,
        state="starting",
        turn=turn,
        turns=turn.number,
        prompts=_set_prompt(view, event.prompt_id, state="running"),
        plan=(),
        last_action="",
        answer="",
        failure=None,
        stopped_by=None,
        question=None,
    )


@_apply.register
def _(event: e.TurnResumed, view: SessionView, record: e.Recorded) -> SessionView:
    resumes = view.turn.resumes + 1 if view.turn else 1
    return _with(view, state="running", turn=_set_turn(view, epoch=event.epoch, resumes=resumes))


@_apply.register
def _(event: e.SandboxReady, view: SessionView, record: e.Recorded) -> SessionView:
    return _with(view, sandbox=event, state="running" if view.state == "starting" else view.state)


@_apply.register
def _(event: e.SandboxLost, view: SessionView, record: e.Recorded) -> SessionView:
    return _with(view, sandbox=None, last_action=f"the sandbox died: {event.cause}")


@_apply.register
def _(event: e.ModelReplied, view: SessionView, record: e.Recorded) -> SessionView:
    return _with(
        view,
        state="running" if view.state in ("starting", "paused") else view.state,
        input_tokens=view.input_tokens + event.input_tokens,
        output_tokens=view.output_tokens + event.output_tokens,
        cost_usd=view.cost_usd + (event.cost_usd or Decimal(0)),
        cost_known=view.cost_known and event.cost_usd is not None,
    )


@_apply.register
def _(event: e.NoteAdded, view: SessionView, record: e.Recorded) -> SessionView:
    return view


@_apply.register
def _(event: e.ContextCompacted, view: SessionView, record: e.Recorded) -> SessionView:
    return view


@_apply.register
def _(event: e.ToolCalled, view: SessionView, record: e.Recorded) -> SessionView:
    calls = view.turn.tool_calls + 1 if view.turn else 1
    turn = _set_turn(view, tool_calls=calls, running_call=event.call_id)
    return _with(view, last_action=event.action, turn=turn)


@_apply.register
def _(event: e.ToolReturned, view: SessionView, record: e.Recorded) -> SessionView:
    if view.turn is not None and view.turn.running_call == event.call_id:
        return _with(view, turn=_set_turn(view, running_call=None))
    return view


@_apply.register
def _(event: e.PlanChanged, view: SessionView, record: e.Recorded) -> SessionView:
    return _with(view, plan=event.items)


@_apply.register
def _(event: e.UpdatePosted, view: SessionView, record: e.Recorded) -> SessionView:
    return view


@_apply.register
def _(event: e.QuestionAsked, view: SessionView, record: e.Recorded) -> SessionView:
    return _with(view, question=event, state="awaiting_answer")


@_apply.register
def _(event: e.QuestionAnswered, view: SessionView, record: e.Recorded) -> SessionView:
    state = "running" if view.state == "awaiting_answer" else view.state
    return _with(view, question=None, state=state)


@_apply.register
def _(event: e.ChangesRecorded, view: SessionView, record: e.Recorded) -> SessionView:
    return _with(view, changes=event)


@_apply.register
def _(event: e.VerificationFinished, view: SessionView, record: e.Recorded) -> SessionView:
    return _with(view, verification=event)


@_apply.register
def _(event: e.ArtifactAdded, view: SessionView, record: e.Recorded) -> SessionView:
    return _with(view, artifacts=(*view.artifacts, event))


def _end_turn(
    view: SessionView,
    record: e.Recorded,
    outcome: Literal["finished", "failed", "stopped"],
    prompt_state: PromptState,
) -> SessionView:
    turn = _set_turn(view, outcome=outcome, ended_at=record.at, running_call=None)
    prompts = tuple(
        p.model_copy(update={"state": prompt_state}) if p.state == "running" else p for p in view.prompts
    )
    approvals = tuple(
        a.model_copy(update={"state": "voided", "reason": "the turn has ended"})
        if a.request.blocking and a.state in ("open", "given")
        else a
        for a in view.approvals
    )
    return _with(
        view,
        turn=turn,
        prompts=prompts,
        approvals=approvals,
        stop_requested=None,
        stopped_by=view.stop_requested,
        question=None,
    )


def _after_turn(ended: SessionView, resting: State) -> State:
    """Where a session goes when its turn ends: on with its line, unless somebody wanted it stopped."""
    if not ended.waiting_prompts:
        return resting
    return "stopped" if ended.stopped_by is not None else "queued"


@_apply.register
def _(event: e.TurnFinished, view: SessionView, record: e.Recorded) -> SessionView:
    ended = _end_turn(view, record, "finished", "done")
    return _with(ended, state=_after_turn(ended, "idle"), answer=event.summary)


@_apply.register
def _(event: e.TurnFailed, view: SessionView, record: e.Recorded) -> SessionView:
    ended = _end_turn(view, record, "failed", "failed")
    failure = Failure(cause=event.cause, advice=event.advice)
    return _with(ended, state=_after_turn(ended, "failed"), failure=failure)


@_apply.register
def _(event: e.TurnPaused, view: SessionView, record: e.Recorded) -> SessionView:
    return _with(view, state="paused", last_action=f"waiting: {event.cause}")


# Decisions


def _set_approval(view: SessionView, approval_id: str, **changes: object) -> tuple[ApprovalView, ...]:
    return tuple(
        a.model_copy(update=changes) if a.request.approval_id == approval_id else a for a in view.approvals
    )


def _decided(view: SessionView, approval_id: str, **changes: object) -> SessionView:
    item = view.approval(approval_id)
    waits = item is not None and item.request.blocking and view.state == "awaiting_approval"
    approvals = _set_approval(view, approval_id, **changes)
    return _with(view, approvals=approvals, state="running" if waits else view.state)


@_apply.register
def _(event: e.ApprovalRequested, view: SessionView, record: e.Recorded) -> SessionView:
    approvals = (*view.approvals, ApprovalView(request=event, seq=record.seq))
    return _with(view, approvals=approvals, state="awaiting_approval" if event.blocking else view.state)


@_apply.register
def _(event: e.ApprovalGiven, view: SessionView, record: e.Recorded) -> SessionView:
    return _decided(view, event.approval_id, state="given", by=event.by)


@_apply.register
def _(event: e.ApprovalWithdrawn, view: SessionView, record: e.Recorded) -> SessionView:
    item = view.approval(event.approval_id)
    if item is None or item.state != "given":
        return view
    approvals = _set_approval(view, event.approval_id, state="open", by=None)
    waits = item.request.blocking and view.turn_open
    return _with(view, approvals=approvals, state="awaiting_approval" if waits else view.state)


@_apply.register
def _(event: e.ApprovalRefused, view: SessionView, record: e.Recorded) -> SessionView:
    return _decided(view, event.approval_id, state="refused", by=event.by)


@_apply.register
def _(event: e.ApprovalVoided, view: SessionView, record: e.Recorded) -> SessionView:
    return _decided(view, event.approval_id, state="voided", reason=event.reason)


@_apply.register
def _(event: e.ApprovalUsed, view: SessionView, record: e.Recorded) -> SessionView:
    return _with(view, approvals=_set_approval(view, event.approval_id, state="used"))


@_apply.register
def _(event: e.StopRequested, view: SessionView, record: e.Recorded) -> SessionView:
    return _with(view, stop_requested=event.by)


@_apply.register
def _(event: e.SessionStopped, view: SessionView, record: e.Recorded) -> SessionView:
    ended = _end_turn(view, record, "stopped", "stopped") if view.turn_open else view
    return _with(ended, state="stopped", stopped_by=event.by, stop_requested=None, asked=None)


@_apply.register
def _(event: e.RetryRequested, view: SessionView, record: e.Recorded) -> SessionView:
    prompts = _set_prompt(view, event.prompt_id, state="waiting")
    state = "queued" if view.repository else "routing"
    return _with(view, prompts=prompts, state=state, failure=None, stopped_by=None)


@_apply.register
def _(event: e.FeedbackGiven, view: SessionView, record: e.Recorded) -> SessionView:
    return view


@_apply.register
def _(event: e.SessionArchived, view: SessionView, record: e.Recorded) -> SessionView:
    return _with(view, state="archived")


# Pull requests


@_apply.register
def _(event: e.BranchPublished, view: SessionView, record: e.Recorded) -> SessionView:
    return _with(view, published=event)


@_apply.register
def _(event: e.PullRequestOpened, view: SessionView, record: e.Recorded) -> SessionView:
    pull_request = PullRequestView(
        number=event.number,
        url=event.url,
        branch=event.branch,
        base=event.base,
        head_sha=event.head_sha,
        title=event.title,
        author=event.author,
        state="draft" if event.draft else "open",
    )
    return _with(view, pull_request=pull_request)


@_apply.register
def _(event: e.PullRequestUpdated, view: SessionView, record: e.Recorded) -> SessionView:
    if view.pull_request is None:
        return view
    return _with(view, pull_request=view.pull_request.model_copy(update={"head_sha": event.head_sha}))


@_apply.register
def _(event: e.PullRequestStateChanged, view: SessionView, record: e.Recorded) -> SessionView:
    if view.pull_request is None:
        return view
    return _with(view, pull_request=view.pull_request.model_copy(update={"state": event.state}))


@_apply.register
def _(event: e.MergeFailed, view: SessionView, record: e.Recorded) -> SessionView:
    return _with(view, failure=Failure(cause=event.cause, advice=event.advice))


# Outside parts


@_apply.register
def _(event: e.PartDegraded, view: SessionView, record: e.Recorded) -> SessionView:
    others = tuple(d for d in view.degraded if d.part != event.part)
    return _with(view, degraded=(*others, event))


@_apply.register
def _(event: e.PartRecovered, view: SessionView, record: e.Recorded) -> SessionView:
    return _with(view, degraded=tuple(d for d in view.degraded if d.part != event.part))
