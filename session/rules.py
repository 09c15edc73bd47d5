"""What the rules of the fold are made of: one rule an event, and the changes several of them share."""

from __future__ import annotations

from functools import singledispatch
from typing import Literal

from session import events as e
from session.view import ApprovalView, PromptState, PromptView, SessionView, TurnView


class FoldError(Exception):
    """The log does not begin with SessionOpened, or has a gap: it must not be shown as if it were whole."""


@singledispatch
def rule(event: e.Event, view: SessionView, record: e.Recorded) -> SessionView:
    """The view after `event`; every type of event has a rule of its own, registered here."""
    raise FoldError(f"no rule says what {type(event).__name__} changes in session {view.id}")


def changed(view: SessionView, **changes: object) -> SessionView:
    """The view with other values."""
    return view.model_copy(update=changes)


def set_prompt(view: SessionView, prompt_id: str, **changes: object) -> tuple[PromptView, ...]:
    """The session's prompts, that one changed."""
    return tuple(p.model_copy(update=changes) if p.prompt.id == prompt_id else p for p in view.prompts)


def set_turn(view: SessionView, **changes: object) -> TurnView | None:
    """The session's turn, changed."""
    return view.turn.model_copy(update=changes) if view.turn else None


def set_approval(view: SessionView, approval_id: str, **changes: object) -> tuple[ApprovalView, ...]:
    """The session's approvals, that one changed."""
    return tuple(
        a.model_copy(update=changes) if a.request.approval_id == approval_id else a for a in view.approvals
    )


def end_turn(
    view: SessionView,
    record: e.Recorded,
    outcome: Literal["finished", "failed", "stopped"],
    prompt_state: PromptState,
) -> SessionView:
    """The view whose turn has ended, and with it all that waited on it."""
    turn = set_turn(view, outcome=outcome, ended_at=record.at, running_call=None)
    prompts = tuple(
        p.model_copy(update={"state": prompt_state}) if p.state == "running" else p for p in view.prompts
    )
    approvals = tuple(
        a.model_copy(update={"state": "voided", "reason": "the turn has ended"})
        if a.request.blocking and a.state in ("open", "given")
        else a
        for a in view.approvals
    )
    return changed(
        view,
        turn=turn,
        prompts=prompts,
        approvals=approvals,
        stop_requested=None,
        stop_halt=None,
        stop_moving=False,
        stopped_by=view.stop_requested,
        question=None,
    )
