"""How decisions, the pull request and outside parts change a session."""

from __future__ import annotations

from session import events as e
from session.rules import changed, end_turn, rule, set_approval, set_prompt
from session.view import ApprovalView, Failure, PullRequestView, SessionView


def _decided(view: SessionView, approval_id: str, **changes: object) -> SessionView:
    item = view.approval(approval_id)
    waits = item is not None and item.request.blocking and view.state == "awaiting_approval"
    approvals = set_approval(view, approval_id, **changes)
    return changed(view, approvals=approvals, state="running" if waits else view.state)


@rule.register
def _(event: e.ApprovalRequested, view: SessionView, record: e.Recorded) -> SessionView:
    approvals = (*view.approvals, ApprovalView(request=event, seq=record.seq))
    return changed(view, approvals=approvals, state="awaiting_approval" if event.blocking else view.state)


@rule.register
def _(event: e.ApprovalGiven, view: SessionView, record: e.Recorded) -> SessionView:
    return _decided(view, event.approval_id, state="given", by=event.by)


@rule.register
def _(event: e.ApprovalWithdrawn, view: SessionView, record: e.Recorded) -> SessionView:
    item = view.approval(event.approval_id)
    if item is None or item.state != "given":
        return view
    approvals = set_approval(view, event.approval_id, state="open", by=None)
    waits = item.request.blocking and view.turn_open
    return changed(view, approvals=approvals, state="awaiting_approval" if waits else view.state)


@rule.register
def _(event: e.ApprovalRefused, view: SessionView, record: e.Recorded) -> SessionView:
    return _decided(view, event.approval_id, state="refused", by=event.by)


@rule.register
def _(event: e.ApprovalVoided, view: SessionView, record: e.Recorded) -> SessionView:
    return _decided(view, event.approval_id, state="voided", reason=event.reason)


@rule.register
def _(event: e.ApprovalUsed, view: SessionView, record: e.Recorded) -> SessionView:
    return changed(view, approvals=set_approval(view, event.approval_id, state="used"))


@rule.register
def _(event: e.StopRequested, view: SessionView, record: e.Recorded) -> SessionView:
    return changed(view, stop_requested=event.by, stop_halt=event.halt, stop_moving=event.moving)


@rule.register
def _(event: e.SessionStopped, view: SessionView, record: e.Recorded) -> SessionView:
    ended = end_turn(view, record, "stopped", "stopped") if view.turn_open else view
    gone = {"stop_requested": None, "stop_halt": None, "stop_moving": False, "asked": None, "each_by": None}
    # A stop ends all that runs in the box: that it had to be started again is no news after one.
    return changed(ended, state="stopped", stopped_by=event.by, sandbox_lost="", **gone)


@rule.register
def _(event: e.RetryRequested, view: SessionView, record: e.Recorded) -> SessionView:
    prompts = set_prompt(view, event.prompt_id, state="waiting")
    state = "queued" if view.repository else "routing"
    return changed(view, prompts=prompts, state=state, failure=None, stopped_by=None)


@rule.register
def _(event: e.FeedbackGiven, view: SessionView, record: e.Recorded) -> SessionView:
    return view


@rule.register
def _(event: e.SessionArchived, view: SessionView, record: e.Recorded) -> SessionView:
    return changed(view, state="archived")


# Pull requests


@rule.register
def _(event: e.BranchPublished, view: SessionView, record: e.Recorded) -> SessionView:
    return changed(view, published=event, held_back=())


@rule.register
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
    return changed(view, pull_request=pull_request)


@rule.register
def _(event: e.PullRequestUpdated, view: SessionView, record: e.Recorded) -> SessionView:
    if view.pull_request is None:
        return view
    return changed(view, pull_request=view.pull_request.model_copy(update={"head_sha": event.head_sha}))


@rule.register
def _(event: e.PullRequestStateChanged, view: SessionView, record: e.Recorded) -> SessionView:
    if view.pull_request is None:
        return view
    return changed(view, pull_request=view.pull_request.model_copy(update={"state": event.state}))


@rule.register
def _(event: e.MergeFailed, view: SessionView, record: e.Recorded) -> SessionView:
    # The yes was for that one try: a merge that failed is asked about again, never begun again by itself.
    approvals = tuple(
        a.model_copy(update={"state": "voided", "reason": event.cause})
        if a.request.kind == "merge" and a.state == "used"
        else a
        for a in view.approvals
    )
    return changed(view, approvals=approvals, failure=Failure(cause=event.cause, advice=event.advice))


# Outside parts


@rule.register
def _(event: e.PartDegraded, view: SessionView, record: e.Recorded) -> SessionView:
    others = tuple(d for d in view.degraded if d.part != event.part)
    return changed(view, degraded=(*others, event))


@rule.register
def _(event: e.PartRecovered, view: SessionView, record: e.Recorded) -> SessionView:
    return changed(view, degraded=tuple(d for d in view.degraded if d.part != event.part))
