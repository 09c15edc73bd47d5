"""Random walks through a session: commands of people and records of a worker, each where it may happen.

The commands' own decisions are used (the pure part of `session/`), so a walk goes where production can go.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from session import events as e
from session import prompting, stopping
from session.access import Actor
from session.fold import fold
from session.listing import need
from session.people import Person
from session.refusals import Refusal
from session.view import TURN_STATES, SessionView
from tests.session.people import ORIGIN, prompt

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
PEOPLE = (Person(id="p1", name="Ada"), Person(id="p2", name="Grace"))
Step = Callable[["Walk"], Sequence[e.Event]]


class Walk:
    """A session on its way. draw: hypothesis' draw, which decides each turning."""

    def __init__(self, draw: Callable[[st.SearchStrategy[Any]], Any]) -> None:
        self.draw = draw
        self.number = 0
        self.records: list[e.Recorded] = []
        opened = e.SessionOpened(title="Fix it", origin=ORIGIN, requester=PEOPLE[0])
        self.records.append(e.Recorded("s", 1, START, opened))
        self.view: SessionView = fold(self.records)
        self._add([e.PromptQueued(prompt=prompt(PEOPLE[0]))])

    def take(self, steps: int) -> None:
        """Take so many steps; one that is refused leaves things as they are."""
        for _ in range(steps):
            step: Step = self.draw(st.sampled_from(STEPS))
            try:
                self._add(step(self))
            except Refusal:
                continue

    def check(self) -> None:
        """Somebody drives every waiting prompt, or a person has been told that it is their turn."""
        view = self.view
        asks = view.state in ("awaiting_repository", "stopped", "failed", "archived")
        waits_in_turn = view.turn_open and view.state in ("awaiting_approval", "awaiting_answer")
        if view.waiting_prompts:
            assert need(view) in ("read", "route", "turn") or asks or waits_in_turn, view.state
        if view.state in ("routing", "queued", "awaiting_repository"):
            assert view.waiting_prompts, view.state
        if view.state in TURN_STATES or view.state in ("awaiting_approval", "awaiting_answer"):
            assert view.turn_open, view.state
        if view.state == "awaiting_approval":
            assert any(item.request.blocking for item in view.open_approvals)
        if view.state == "awaiting_answer":
            assert view.question is not None
        if not view.turn_open:
            assert not [p for p in view.prompts if p.state == "running"]
            assert view.stop_requested is None

    def person(self) -> Person:
        """One of the people."""
        who: Person = self.draw(st.sampled_from(PEOPLE))
        return who

    def name(self) -> str:
        """A new id."""
        self.number += 1
        return f"n{self.number}"

    def _add(self, events: Sequence[e.Event]) -> None:
        for event in events:
            seq = len(self.records) + 1
            self.records.append(e.Recorded("s", seq, START + timedelta(seconds=seq), event))
        self.view = fold(self.records[self.view.seq :], self.view) if events else self.view


def _prompt(walk: Walk) -> Sequence[e.Event]:
    author = walk.person()
    return prompting._accept(walk.view, prompt(author), Actor(author, "approver", frozenset({author.id})))[1]


def _cancel(walk: Walk) -> Sequence[e.Event]:
    waiting = walk.view.waiting_prompts
    if not waiting or walk.view.archived:
        return []
    return [e.PromptCancelled(prompt_id=waiting[0].prompt.id, by=walk.person())]


def _stop(walk: Walk) -> Sequence[e.Event]:
    return stopping.stopping(walk.view, walk.person(), worked_on=walk.draw(st.booleans()))


def _retry(walk: Walk) -> Sequence[e.Event]:
    item = stopping._to_retry(walk.view)
    return [e.RetryRequested(by=walk.person(), prompt_id=item.prompt.id)] if item else []


def _route(walk: Walk) -> Sequence[e.Event]:
    if walk.view.state != "routing":
        return []
    outcomes: list[e.Event] = [
        e.RepositoryChosen(slug="acme/web", branch="main", how="model", reason="said so"),
        e.RepositoryAsked(reason="unclear", candidates=()),
        e.RoutingFailed(cause="model down", advice="retry"),
    ]
    return [walk.draw(st.sampled_from(outcomes))]


def _pick(walk: Walk) -> Sequence[e.Event]:
    if walk.view.state != "awaiting_repository":
        return []
    picked = e.RepositoryChosen(slug="acme/api", branch="main", how="picked", reason="", by=walk.person())
    return [picked]


def _work(walk: Walk) -> Sequence[e.Event]:
    """A worker does the next thing that it may do."""
    view = walk.view
    if need(view) != "turn":
        return []
    if not view.turn_open:
        first = view.waiting_prompts[0].prompt.id
        return [e.TurnStarted(turn_id=walk.name(), prompt_id=first, model="m", epoch=1)]
    assert view.turn is not None
    turn = view.turn.turn_id
    if view.stop_requested is not None:
        return [e.SessionStopped(turn_id=turn, by=view.stop_requested)]
    choices: list[list[e.Event]] = [
        [e.SandboxReady(backend="b", isolation="i", box="b", image="i")],
        [e.WorkspaceSynced(turn_id=turn, seconds=2, services=("store",))],
        [e.TurnResumed(turn_id=turn, epoch=2, reason="worker lost")],
        [e.ModelReplied(turn_id=turn, text="hm", model="m", output_tokens=3)],
        [e.TurnPaused(turn_id=turn, cause="model down")],
        [e.TurnFinished(turn_id=turn, summary="done")],
        [e.TurnFailed(turn_id=turn, cause="c", advice="a")],
        [e.QuestionAsked(question_id=walk.name(), turn_id=turn, call_id="c", text="which?")],
        [_request(walk, turn, "pull_request", blocking=True)],
        [_request(walk, turn, "plan", blocking=True)],
        [_request(walk, turn, "merge", blocking=False)],
        [
            e.PromptSteered(prompt_id=p.prompt.id, turn_id=turn)
            for p in view.waiting_prompts
            if p.prompt.steer
        ],
    ]
    events: list[e.Event] = walk.draw(st.sampled_from(choices))
    return events


def _finish_stopping(walk: Walk) -> Sequence[e.Event]:
    """A turn ends by itself just when somebody wants it stopped."""
    view = walk.view
    if view.turn is None or not view.turn_open or view.stop_requested is None:
        return []
    return [e.TurnFinished(turn_id=view.turn.turn_id, summary="done anyway")]


def _request(walk: Walk, turn: str, kind: e.ApprovalKind, *, blocking: bool) -> e.ApprovalRequested:
    return e.ApprovalRequested(
        approval_id=walk.name(),
        kind=kind,
        title="May I?",
        detail="",
        digest="d",
        policy_version="1",
        expires_at=START,
        blocking=blocking,
        turn_id=turn,
    )


def _decide(walk: Walk) -> Sequence[e.Event]:
    open_now = walk.view.open_approvals
    if not open_now:
        return []
    approval_id = walk.draw(st.sampled_from(open_now)).request.approval_id
    by = walk.person()
    outcomes: list[e.Event] = [
        e.ApprovalGiven(approval_id=approval_id, digest="d", by=by),
        e.ApprovalRefused(approval_id=approval_id, by=by),
        e.ApprovalVoided(approval_id=approval_id, reason="time ran out"),
    ]
    return [walk.draw(st.sampled_from(outcomes))]


def _follow_decision(walk: Walk) -> Sequence[e.Event]:
    given = [item for item in walk.view.approvals if item.state == "given"]
    if not given:
        return []
    approval_id = given[0].request.approval_id
    outcomes: list[e.Event] = [
        e.ApprovalUsed(approval_id=approval_id),
        e.ApprovalWithdrawn(approval_id=approval_id, by=walk.person()),
    ]
    return [walk.draw(st.sampled_from(outcomes))]


def _answer(walk: Walk) -> Sequence[e.Event]:
    question = walk.view.question
    if question is None:
        return []
    return [e.QuestionAnswered(question_id=question.question_id, text="that one", by=walk.person())]


def _archive(walk: Walk) -> Sequence[e.Event]:
    view = walk.view
    if view.turn_open or view.archived or walk.draw(st.integers(0, 5)):
        return []
    by = walk.person()
    cancelled = [e.PromptCancelled(prompt_id=p.prompt.id, by=by) for p in view.waiting_prompts]
    return [*cancelled, e.SessionArchived(by=by)]


def _words(walk: Walk) -> Sequence[e.Event]:
    """A short message is taken, or one that was taken is read."""
    if not prompting.can_be_read(walk.view):
        return []
    if not walk.view.unread:
        return [e.WordsTaken(prompt=prompt(walk.person()).model_copy(update={"id": walk.name()}))]
    return prompting.as_written(walk.view, walk.view.unread[0])


STEPS: tuple[Step, ...] = (
    _prompt,
    _words,
    _cancel,
    _stop,
    _retry,
    _route,
    _pick,
    _work,
    _work,
    _finish_stopping,
    _decide,
    _follow_decision,
    _answer,
    _archive,
)
