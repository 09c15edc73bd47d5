"""The status card: one pure function from a session's state to what the thread shows of it."""

from __future__ import annotations

from bot.long_text import one_line
from bot.messages import Button, PlanLine, StatusCard, Tone
from bot.sentences import figures, held_back, sandbox, states, turns
from session.view import SessionView, State

_TONES: dict[State, Tone] = {
    "routing": "working",
    "awaiting_repository": "waiting",
    "queued": "working",
    "starting": "working",
    "running": "working",
    "awaiting_approval": "waiting",
    "awaiting_answer": "waiting",
    "paused": "waiting",
    "idle": "done",
    "stopped": "stopped",
    "failed": "failed",
    "archived": "quiet",
}

_MOVING: frozenset[State] = frozenset({"routing", "queued", "starting", "running"})
_WAITING: frozenset[State] = frozenset(
    {"awaiting_repository", "awaiting_approval", "awaiting_answer", "paused"}
)


def status_card(view: SessionView, *, public_url: str) -> StatusCard:
    """What the thread shows of the session now. `public_url`: where companion pages begin; empty: none."""
    return StatusCard(
        session_id=view.id,
        revision=view.seq,
        title=one_line(view.title, 140) or "A request",
        state=states.state_words(view),
        tone="waiting" if view.state == "idle" and view.open_approvals else _TONES[view.state],
        facts=_facts(view),
        plan=tuple(PlanLine(one_line(item.text, 160), item.status) for item in view.plan),
        action=_action(view),
        notes=_notes(view),
        buttons=_buttons(view, public_url),
    )


def at_once(view: SessionView) -> bool:
    """Whether people wait to see this state: then the card is edited without delay."""
    return view.state not in ("starting", "running") or view.stop_requested is not None


def session_url(public_url: str, session_id: str) -> str:
    """The companion page of the session."""
    return f"{public_url.rstrip('/')}/s/{session_id}"


def _facts(view: SessionView) -> tuple[tuple[str, str], ...]:
    facts: list[tuple[str, str]] = []
    if view.repository is not None:
        facts.append(("Repository", f"{view.repository.slug} @ {view.repository.branch}"))
    if view.turn is not None:
        following = f", then {view.model}" if view.model not in ("", view.turn.model) else ""
        facts.append(("Model", f"{view.turn.model}{following}"))
    people = view.authors or (view.requester,)
    facts.append(("Asked by", figures.names([person.name for person in people])))
    if view.pull_request is not None:
        facts.append(("Pull request", f"#{view.pull_request.number} {view.pull_request.state}"))
    if view.changes is not None and view.changes.files:
        facts.append(("Changes", figures.changes(view.changes)))
    if view.turn is not None:
        ended = view.turn.ended_at or view.updated_at
        facts.append(("Time", figures.duration((ended - view.turn.started_at).total_seconds())))
        facts.append(("Cost", figures.cost(view.cost_usd, view.cost_known)))
    if _in_line(view):
        facts.append(("In line", str(_in_line(view))))
    return tuple(facts)


def _in_line(view: SessionView) -> int:
    """How many follow-ups wait behind what runs; the prompt that is about to be taken up is not one."""
    waiting = len(view.waiting_prompts)
    return waiting if view.turn_open or view.state in ("stopped", "failed") else max(0, waiting - 1)


def _action(view: SessionView) -> str:
    if view.state in ("running", "starting", "paused") and view.last_action:
        return one_line(view.last_action, 200)
    return ""


def _notes(view: SessionView) -> tuple[str, ...]:
    notes: list[str] = []
    if view.failure is not None and view.state == "failed":
        advice = view.failure.advice if view.saved else view.failure.advice.removeprefix(turns.SAVED)
        notes.append(one_line(f"{view.failure.cause} {advice}", 400))
    notes.extend(one_line(held_back.degraded(item), 300) for item in view.degraded)
    if view.limits_reached:
        notes.append(one_line(sandbox.limits_reached(view.limits_reached), 500))
    if view.held_back:
        notes.append(one_line(held_back.in_short(view.held_back), 300))
    if view.sandbox is not None:
        if view.sandbox.isolation:
            notes.append(sandbox.kind(view.sandbox.isolation))
        if view.sandbox.secrets:
            notes.append(one_line(f"Secrets in the box: {figures.names(view.sandbox.secrets)}", 300))
        if view.sandbox.replaced and view.turn_open:
            gone = "the saved work is not kept any more" if view.sandbox.let_go else ""
            came = view.sandbox.restored or gone
            notes.append(one_line(f"The workspace was rebuilt{came and f'; {came}'}", 300))
    return tuple(notes)


def _buttons(view: SessionView, public_url: str) -> tuple[Button, ...]:
    buttons: list[Button] = []
    if view.state in _MOVING | _WAITING and view.stop_requested is None:
        buttons.append(Button("stop", "Stop", style="danger"))
    if view.state in ("failed", "stopped"):
        buttons.append(Button("retry", "Try again", style="primary"))
    if _guessed(view) and view.state in _MOVING and view.turns <= 1 and view.stop_requested is None:
        buttons.append(Button("wrong_repository", "Wrong repository?"))
    if view.pull_request is not None:
        label = f"Pull request #{view.pull_request.number}"
        buttons.append(Button("open_page", label, url=view.pull_request.url))
    if public_url:
        buttons.append(Button("open_page", "Open page", url=session_url(public_url, view.id)))
    return tuple(buttons)


def _guessed(view: SessionView) -> bool:
    """Whether the repository was worked out, so that it may be wrong."""
    return view.repository is not None and view.repository.how in ("rule", "model", "thread")
