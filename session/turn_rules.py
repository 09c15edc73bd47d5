"""How a turn changes a session."""

from __future__ import annotations

from decimal import Decimal

from session import events as e
from session.rules import changed, end_turn, rule, set_prompt, set_turn
from session.view import Failure, SessionView, State, TurnView


def _after_turn(ended: SessionView, resting: State) -> SessionView:
    """Where a session goes when its turn ends: on with its line, unless somebody wanted it stopped."""
    if ended.waiting_prompts and ended.stopped_by is not None:
        return changed(ended, state="stopped")
    return changed(ended, state="queued" if ended.waiting_prompts else resting, stopped_by=None)


@rule.register
def _(event: e.TurnStarted, view: SessionView, record: e.Recorded) -> SessionView:
    turn = TurnView(
        turn_id=event.turn_id,
        prompt_id=event.prompt_id,
        number=view.turns + 1,
        model=event.model,
        epoch=event.epoch,
        started_at=record.at,
    )
    return changed(
        view,
        state="starting",
        turn=turn,
        turns=turn.number,
        prompts=set_prompt(view, event.prompt_id, state="running"),
        plan=(),
        last_action="",
        answer="",
        failure=None,
        stopped_by=None,
        question=None,
        limits_reached=(),
    )


@rule.register
def _(event: e.TurnResumed, view: SessionView, record: e.Recorded) -> SessionView:
    resumes = view.turn.resumes + 1 if view.turn else 1
    return changed(view, state="running", turn=set_turn(view, epoch=event.epoch, resumes=resumes))


@rule.register
def _(event: e.SandboxReady, view: SessionView, record: e.Recorded) -> SessionView:
    state = "running" if view.state == "starting" else view.state
    return changed(view, sandbox=event, sandbox_lost="", state=state)


@rule.register
def _(event: e.WorkspaceSynced, view: SessionView, record: e.Recorded) -> SessionView:
    if view.sandbox is None:
        return view
    return changed(view, sandbox=view.sandbox.model_copy(update={"services": event.services}))


@rule.register
def _(event: e.SandboxLost, view: SessionView, record: e.Recorded) -> SessionView:
    died = f"the sandbox died: {event.cause}"
    return changed(view, sandbox=None, sandbox_lost=event.cause, last_action=died)


@rule.register
def _(event: e.LimitReached, view: SessionView, record: e.Recorded) -> SessionView:
    known = event.limit in view.limits_reached
    return view if known else changed(view, limits_reached=(*view.limits_reached, event.limit))


@rule.register
def _(event: e.ModelReplied, view: SessionView, record: e.Recorded) -> SessionView:
    return changed(
        view,
        state="running" if view.state in ("starting", "paused") else view.state,
        input_tokens=view.input_tokens + event.input_tokens,
        output_tokens=view.output_tokens + event.output_tokens,
        cost_usd=view.cost_usd + (event.cost_usd or Decimal(0)),
        cost_known=view.cost_known and event.cost_usd is not None,
    )


@rule.register
def _(event: e.NoteAdded, view: SessionView, record: e.Recorded) -> SessionView:
    return view


@rule.register
def _(event: e.ContextCompacted, view: SessionView, record: e.Recorded) -> SessionView:
    return view


@rule.register
def _(event: e.ToolCalled, view: SessionView, record: e.Recorded) -> SessionView:
    calls = view.turn.tool_calls + 1 if view.turn else 1
    turn = set_turn(view, tool_calls=calls, running_call=event.call_id)
    return changed(view, last_action=event.action, turn=turn)


@rule.register
def _(event: e.ToolReturned, view: SessionView, record: e.Recorded) -> SessionView:
    if view.turn is not None and view.turn.running_call == event.call_id:
        return changed(view, turn=set_turn(view, running_call=None))
    return view


@rule.register
def _(event: e.UntrustedRead, view: SessionView, record: e.Recorded) -> SessionView:
    known = event.source in view.untrusted
    return view if known else changed(view, untrusted=(*view.untrusted, event.source))


@rule.register
def _(event: e.BudgetWarned, view: SessionView, record: e.Recorded) -> SessionView:
    others = tuple(warning for warning in view.budget_warnings if warning.budget != event.budget)
    return changed(view, budget_warnings=(*others, event))


@rule.register
def _(event: e.PlanChanged, view: SessionView, record: e.Recorded) -> SessionView:
    return changed(view, plan=event.items)


@rule.register
def _(event: e.UpdatePosted, view: SessionView, record: e.Recorded) -> SessionView:
    return view


@rule.register
def _(event: e.QuestionAsked, view: SessionView, record: e.Recorded) -> SessionView:
    return changed(view, question=event, state="awaiting_answer")


@rule.register
def _(event: e.QuestionAnswered, view: SessionView, record: e.Recorded) -> SessionView:
    state = "running" if view.state == "awaiting_answer" else view.state
    return changed(view, question=None, state=state)


@rule.register
def _(event: e.ChangesRecorded, view: SessionView, record: e.Recorded) -> SessionView:
    return changed(view, changes=event)


@rule.register
def _(event: e.WorkHeldBack, view: SessionView, record: e.Recorded) -> SessionView:
    told = {hold.key for hold in event.holds}
    others = tuple(hold for hold in view.held_back if hold.key not in told)
    return changed(view, held_back=(*others, *event.holds))


@rule.register
def _(event: e.HoldsLifted, view: SessionView, record: e.Recorded) -> SessionView:
    lifted = {hold.key for hold in event.holds}
    return changed(view, held_back=tuple(hold for hold in view.held_back if hold.key not in lifted))


@rule.register
def _(event: e.VerificationFinished, view: SessionView, record: e.Recorded) -> SessionView:
    return changed(view, verification=event)


@rule.register
def _(event: e.ArtifactAdded, view: SessionView, record: e.Recorded) -> SessionView:
    return changed(view, artifacts=(*view.artifacts, event))


@rule.register
def _(event: e.TurnFinished, view: SessionView, record: e.Recorded) -> SessionView:
    ended = end_turn(view, record, "finished", "done")
    return changed(_after_turn(ended, "idle"), answer=event.summary)


@rule.register
def _(event: e.TurnFailed, view: SessionView, record: e.Recorded) -> SessionView:
    ended = end_turn(view, record, "failed", "failed")
    failure = Failure(cause=event.cause, advice=event.advice)
    return changed(_after_turn(ended, "failed"), failure=failure)


@rule.register
def _(event: e.TurnPaused, view: SessionView, record: e.Recorded) -> SessionView:
    return changed(view, state="paused", last_action=f"waiting: {event.cause}")
