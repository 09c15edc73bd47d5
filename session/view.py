"""The state of a session as surfaces show it; `session/fold.py` says how events make it."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Literal

from session import events as e
from session.people import Declared, Origin, Person, Prompt

State = Literal[
    "routing",
    "awaiting_repository",
    "queued",
    "starting",
    "running",
    "awaiting_approval",
    "awaiting_answer",
    "paused",
    "idle",
    "stopped",
    "failed",
    "archived",
]
PromptState = Literal["waiting", "running", "done", "cancelled", "failed", "stopped"]
ApprovalState = Literal["open", "given", "refused", "voided", "used"]

TURN_STATES: frozenset[str] = frozenset({"starting", "running", "paused"})
"""States in which a worker holds, or should hold, the session's lease."""

WAITING_STATES: frozenset[str] = frozenset({"awaiting_approval", "awaiting_answer"})
"""States in which an unfinished turn waits for a person and holds no worker."""


class PromptView(Declared):
    """A prompt and how far it has come."""

    prompt: Prompt
    seq: int
    state: PromptState = "waiting"


class TurnView(Declared):
    """The current or last turn. `started_at` is when the prompt was taken up."""

    turn_id: str
    prompt_id: str
    number: int
    model: str
    epoch: int
    started_at: datetime
    ended_at: datetime | None = None
    resumes: int = 0
    tool_calls: int = 0
    running_call: str | None = None
    outcome: Literal["running", "finished", "failed", "stopped"] = "running"


class ApprovalView(Declared):
    """What is asked of people, and what they said."""

    request: e.ApprovalRequested
    seq: int
    state: ApprovalState = "open"
    by: Person | None = None
    reason: str = ""


class WordsView(Declared):
    """The last message that was taken for a wish, what it did, and the model before it (empty: the usual)."""

    prompt: Prompt
    understood: e.WordsUnderstood
    former_model: str = ""


class PullRequestView(Declared):
    """The session's pull request as the forge last told of it."""

    number: int
    url: str
    branch: str
    base: str
    head_sha: str
    title: str
    author: str
    state: e.PullRequestState


class Failure(Declared):
    """Why the last turn, routing or merge failed, and what to do."""

    cause: str
    advice: str


class SessionView(Declared):
    """All that surfaces show of one session, as of event `seq`.

    `sandbox_lost` is why the box died, until there is one again. `limits_reached` is of the current or last
    turn. `unread`: short messages of which it is not known yet what they want. `model` was wished for in
    words; empty: the usual one. `words`: what can be taken back with one word. `each_by`: who wants a session
    for each repository of `asked`, while these are still to begin. `begun_with`: the session that asked,
    where this one is such a session.
    """

    id: str
    seq: int
    state: State
    title: str
    origin: Origin
    requester: Person
    created_at: datetime
    updated_at: datetime
    begun_with: e.BegunWith | None = None
    prompts: tuple[PromptView, ...] = ()
    repository: e.RepositoryChosen | None = None
    asked: e.RepositoryAsked | None = None
    each_by: Person | None = None
    turn: TurnView | None = None
    turns: int = 0
    plan: tuple[e.PlanItem, ...] = ()
    last_action: str = ""
    sandbox: e.SandboxReady | None = None
    sandbox_lost: str = ""
    limits_reached: tuple[e.Limit, ...] = ()
    approvals: tuple[ApprovalView, ...] = ()
    question: e.QuestionAsked | None = None
    changes: e.ChangesRecorded | None = None
    verification: e.VerificationFinished | None = None
    published: e.BranchPublished | None = None
    pull_request: PullRequestView | None = None
    artifacts: tuple[e.ArtifactAdded, ...] = ()
    answer: str = ""
    failure: Failure | None = None
    stop_requested: Person | None = None
    stop_halt: str | None = None
    stop_moving: bool = False
    stopped_by: Person | None = None
    degraded: tuple[e.PartDegraded, ...] = ()
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: Decimal = Decimal(0)
    cost_known: bool = True
    untrusted: tuple[str, ...] = ()
    budget_warnings: tuple[e.BudgetWarned, ...] = ()
    held_back: tuple[e.Hold, ...] = ()
    unread: tuple[Prompt, ...] = ()
    model: str = ""
    words: WordsView | None = None

    @property
    def archived(self) -> bool:
        """Whether the session takes no more prompts."""
        return self.state == "archived"

    @property
    def waiting_prompts(self) -> tuple[PromptView, ...]:
        """Prompts in line, in their order."""
        return tuple(p for p in self.prompts if p.state == "waiting")

    @property
    def saved(self) -> bool:
        """Whether the work is kept outside of its box, as far as that was tried."""
        return all(item.part != "sandbox" for item in self.degraded)

    @property
    def turn_open(self) -> bool:
        """Whether a turn has begun and not ended (it may be waiting for a person)."""
        return self.turn is not None and self.turn.outcome == "running"

    @property
    def due_merges(self) -> tuple[ApprovalView, ...]:
        """Merges that are approved, or were begun and neither happened nor failed: work for a worker."""
        current = self.pull_request
        return tuple(
            a
            for a in self.approvals
            if a.request.kind == "merge"
            and (
                a.state == "given"
                or (
                    a.state == "used"
                    and current is not None
                    and current.state == "open"
                    and current.head_sha == a.request.head_sha
                )
            )
        )

    @property
    def open_approvals(self) -> tuple[ApprovalView, ...]:
        """Approvals that people can still decide."""
        return tuple(a for a in self.approvals if a.state == "open")

    @property
    def needs_worker(self) -> bool:
        """Whether a worker has something to do here now: a turn to go on with, or a prompt to take up."""
        if self.state in TURN_STATES or (self.stop_requested is not None and self.turn_open):
            return True
        return self.state == "queued" and bool(self.waiting_prompts)

    def prompt(self, prompt_id: str) -> PromptView | None:
        """The prompt with that id."""
        return next((p for p in self.prompts if p.prompt.id == prompt_id), None)

    def approval(self, approval_id: str) -> ApprovalView | None:
        """The approval with that id."""
        return next((a for a in self.approvals if a.request.approval_id == approval_id), None)

    @property
    def authors(self) -> tuple[Person, ...]:
        """Everyone whose prompt is in the session, first come first, each once."""
        seen: dict[str, Person] = {}
        for item in self.prompts:
            if item.state != "cancelled":
                seen.setdefault(item.prompt.author.id, item.prompt.author)
        return tuple(seen.values())
