"""Everything that can happen in a session, in the past tense.

The log of these events is the truth; every state that anybody sees is a fold of it (`session/view.py`).
An undeclared field or an unknown type fails at construction, so the vocabulary cannot drift unseen.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal

from pydantic import ValidationError

from session.people import Declared, Origin, Person, Prompt

ApprovalKind = Literal["repository", "plan", "command", "egress", "pull_request", "merge", "budget"]
PullRequestState = Literal["draft", "open", "merged", "closed"]
Verdict = Literal["passed", "failed", "not_run"]
ToolStatus = Literal["ok", "error", "cancelled", "unknown"]


class Event(Declared):
    """Base of all events; a subclass's name is its type in the log."""


class Candidate(Declared):
    """A repository that could be meant, with why."""

    slug: str
    description: str = ""
    reason: str = ""


class PlanItem(Declared):
    """One step of the agent's plan."""

    text: str
    status: Literal["pending", "in_progress", "done", "dropped"] = "pending"


class CheckResult(Declared):
    """One verify command, run by the harness. `output` holds the tail of what it printed."""

    command: str
    verdict: Verdict
    exit_code: int | None = None
    duration_seconds: float = 0.0
    output: str = ""


class ToolRequest(Declared):
    """A tool call as the model asked for it; `arguments` is the model's raw JSON text."""

    call_id: str
    tool: str
    arguments: str


# A session begins, and people talk to it


class SessionOpened(Event):
    """Somebody rang: the session exists and its repository is being worked out."""

    title: str
    origin: Origin
    requester: Person


class TitleChanged(Event):
    """The session got a better title."""

    title: str


class PromptQueued(Event):
    """A prompt is accepted and waits in line."""

    prompt: Prompt


class PromptEdited(Event):
    """A waiting prompt was reworded."""

    prompt_id: str
    text: str
    by: Person


class PromptCancelled(Event):
    """A waiting prompt was taken back."""

    prompt_id: str
    by: Person


class SteerRequested(Event):
    """A waiting prompt shall be handed to the agent at its next step instead of after the turn."""

    prompt_id: str
    by: Person


class PromptSteered(Event):
    """A waiting prompt was handed to the agent in the middle of the running turn."""

    prompt_id: str
    turn_id: str


# Routing


class RepositoryChosen(Event):
    """The repository is known. `how` names the step that decided; `by` the person who picked, if one did."""

    slug: str
    branch: str
    how: Literal["named", "thread", "rule", "only", "model", "picked"]
    reason: str
    confidence: float = 1.0
    alternatives: tuple[Candidate, ...] = ()
    by: Person | None = None


class RepositoryAsked(Event):
    """Nobody can tell which repository is meant, so the requester is asked; `candidates`: the top picks."""

    reason: str
    candidates: tuple[Candidate, ...]


class RoutingFailed(Event):
    """Routing ended without a repository and without a question that could help."""

    cause: str
    advice: str


# A turn runs


class TurnStarted(Event):
    """A worker took the prompt up. `epoch` is that of the lease under which it writes."""

    turn_id: str
    prompt_id: str
    model: str
    epoch: int


class TurnResumed(Event):
    """A worker took an unfinished turn up again; `reason` says why in plain words."""

    turn_id: str
    epoch: int
    reason: str


class SandboxReady(Event):
    """The box answers. `isolation` is the sentence shown on the card; `replaced` says it is a new box for an
    earlier session, `restored` what came back in it."""

    backend: str
    isolation: str
    box: str
    image: str
    replaced: bool = False
    restored: str = ""


class SandboxLost(Event):
    """The box died under the turn; `cause` names why, as far as it is known ("out of memory")."""

    cause: str


class ModelReplied(Event):
    """A finished message of the model: text, tool calls, and what it cost."""

    turn_id: str
    text: str
    tool_calls: tuple[ToolRequest, ...] = ()
    model: str
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    cost_usd: Decimal | None = None


class NoteAdded(Event):
    """The harness's own words to the agent: a nudge, a red verdict, a malformed call explained."""

    turn_id: str
    text: str


class ContextCompacted(Event):
    """The model's conversation was shortened to fit its window: long outputs from before event
    `cleared_before` are no longer shown to it, and `summary` stands for everything but prompts before event
    `summarised_before`."""

    turn_id: str
    cleared_before: int
    summarised_before: int = 0
    summary: str = ""


class ToolCalled(Event):
    """A tool call begins. `action` says it in plain words for the card."""

    turn_id: str
    call_id: str
    tool: str
    action: str


class ToolReturned(Event):
    """A tool call ended; `output` is what the model is shown, already cut to the inline limit."""

    turn_id: str
    call_id: str
    tool: str
    status: ToolStatus
    output: str
    duration_seconds: float = 0.0
    total_bytes: int = 0
    spilled_path: str | None = None


class PlanChanged(Event):
    """The agent's check list is now this."""

    items: tuple[PlanItem, ...]


class UpdatePosted(Event):
    """The agent tells the thread something at an inflection point."""

    text: str


class QuestionAsked(Event):
    """The agent asks and the turn waits."""

    question_id: str
    turn_id: str
    call_id: str
    text: str
    options: tuple[str, ...] = ()


class QuestionAnswered(Event):
    """Somebody answered; the turn goes on."""

    question_id: str
    text: str
    by: Person


class ChangesRecorded(Event):
    """What the session has changed so far against its base. `diff_artifact` holds the patch by file."""

    base_sha: str
    head_sha: str
    files: int
    insertions: int
    deletions: int
    diff_artifact: str | None = None


class VerificationFinished(Event):
    """The harness ran the repository's verify commands on exactly `head_sha`."""

    turn_id: str
    head_sha: str
    verdict: Verdict
    checks: tuple[CheckResult, ...] = ()
    reason: str = ""


class ArtifactAdded(Event):
    """Something to look at: a diff, a log, a screenshot."""

    artifact_id: str
    kind: Literal["diff", "log", "image", "video", "file"]
    name: str
    media_type: str
    size_bytes: int


class TurnFinished(Event):
    """The turn reached its end; `summary` is the answer people read."""

    turn_id: str
    summary: str
    evidence: str = ""


class TurnFailed(Event):
    """The turn could not go on. `cause` says what failed, `advice` what to do; the work is saved."""

    turn_id: str
    cause: str
    advice: str


class TurnPaused(Event):
    """The turn waits for something outside to come back (a model, an engine); it is re-driven by itself."""

    turn_id: str
    cause: str


# People decide


class ApprovalRequested(Event):
    """A person is asked; it counts only for this digest, head SHA and policy version, until it expires.

    `blocking` is True when the turn waits for it. `excluded` lists ids of people who may not approve it.
    """

    approval_id: str
    kind: ApprovalKind
    title: str
    detail: str
    digest: str
    head_sha: str | None = None
    policy_version: str
    expires_at: datetime
    blocking: bool = True
    turn_id: str | None = None
    call_id: str | None = None
    excluded: tuple[str, ...] = ()


class ApprovalGiven(Event):
    """A person with the right to do so said yes to exactly this digest."""

    approval_id: str
    digest: str
    by: Person


class ApprovalWithdrawn(Event):
    """The yes was taken back before it took effect."""

    approval_id: str
    by: Person


class ApprovalRefused(Event):
    """A person said no."""

    approval_id: str
    by: Person


class ApprovalVoided(Event):
    """The request no longer stands: what it showed has changed, or its time ran out."""

    approval_id: str
    reason: str


class ApprovalUsed(Event):
    """The approved effect begins; the approval cannot be used again."""

    approval_id: str


class StopRequested(Event):
    """Somebody wants it stopped; no new effect begins after this."""

    by: Person


class SessionStopped(Event):
    """Everything of the session stands still. Prompts in line are kept."""

    turn_id: str | None
    by: Person


class RetryRequested(Event):
    """Somebody wants the last prompt tried again."""

    by: Person
    prompt_id: str


class FeedbackGiven(Event):
    """Somebody said whether the answer was good."""

    verdict: Literal["good", "bad"]
    by: Person


class SessionArchived(Event):
    """The session takes no more prompts."""

    by: Person


# The pull request


class BranchPublished(Event):
    """The branch is on the forge at `head_sha`; `compare_url` opens a pull request by hand."""

    branch: str
    head_sha: str
    compare_url: str


class PullRequestOpened(Event):
    """The pull request exists, opened in `author`'s name (or adopted, when the branch had one already)."""

    number: int
    url: str
    branch: str
    base: str
    head_sha: str
    title: str
    draft: bool
    author: str
    adopted: bool = False


class PullRequestUpdated(Event):
    """The pull request's branch moved to a new head SHA of ours."""

    number: int
    head_sha: str


class PullRequestStateChanged(Event):
    """The forge says that the pull request is now in this state; `by` is the forge login that did it."""

    number: int
    state: PullRequestState
    by: str


class MergeFailed(Event):
    """An approved merge could not be carried out."""

    cause: str
    advice: str


# Outside parts come and go


class PartDegraded(Event):
    """An outside part does not answer (model, engine, forge, queue); `detail` says what that means here."""

    part: str
    detail: str


class PartRecovered(Event):
    """The part answers again."""

    part: str


EVENT_TYPES: dict[str, type[Event]] = {cls.__name__: cls for cls in Event.__subclasses__()}
"""Every event type by its name in the log."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """An event in its place: `seq` counts from 1 in each session, `at` is the database's clock (UTC)."""

    session_id: str
    seq: int
    at: datetime
    event: Event


class UnknownEvent(Exception):
    """A row of the log cannot be read as an event of this version."""


def encode(event: Event) -> tuple[str, str]:
    """The event's type name and its JSON body."""
    return type(event).__name__, event.model_dump_json(exclude_defaults=True)


def decode(name: str, body: str) -> Event:
    """The event that `encode` wrote.

    Raises: UnknownEvent, when the type or a field is not declared in this version.
    """
    event_type = EVENT_TYPES.get(name)
    if event_type is None:
        raise UnknownEvent(f"the log holds an event of type {name!r}, which this version does not know")
    try:
        return event_type.model_validate_json(body)
    except ValidationError as error:
        raise UnknownEvent(f"the log holds a {name} that this version cannot read: {error}") from error
