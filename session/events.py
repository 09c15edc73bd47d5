"""Everything that can happen in a session, in the past tense.

The log of these events is the truth; every state that anybody sees is a fold of it (`session/view.py`).
An undeclared field or an unknown type fails at construction, so the vocabulary cannot drift unseen.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from pydantic import ValidationError

from session.decision_events import (
    ApprovalGiven,
    ApprovalRefused,
    ApprovalRequested,
    ApprovalUsed,
    ApprovalVoided,
    ApprovalWithdrawn,
    BranchPublished,
    FeedbackGiven,
    MergeFailed,
    PullRequestOpened,
    PullRequestStateChanged,
    PullRequestUpdated,
    RetryRequested,
    SessionArchived,
    SessionStopped,
    StopRequested,
)
from session.people import Origin, Person, Prompt
from session.turn_events import (
    ArtifactAdded,
    BoxStart,
    BudgetWarned,
    ChangesRecorded,
    ContextCompacted,
    HoldsLifted,
    LimitReached,
    ModelReplied,
    NoteAdded,
    PlanChanged,
    QuestionAnswered,
    QuestionAsked,
    SandboxLost,
    SandboxReady,
    ToolCalled,
    ToolReturned,
    TurnFailed,
    TurnFinished,
    TurnPaused,
    TurnResumed,
    TurnStarted,
    UntrustedRead,
    UpdatePosted,
    VerificationFinished,
    WorkHeldBack,
    WorkspaceSynced,
)
from session.understood import WordsTaken, WordsUnderstood, WordsWithdrawn
from session.vocabulary import (
    ApprovalKind,
    BegunWith,
    Candidate,
    CheckResult,
    Event,
    Hold,
    HoldKind,
    Limit,
    PlanItem,
    PullRequestState,
    ToolRequest,
    ToolStatus,
    Verdict,
)

__all__ = [
    "EVENT_TYPES",
    "ApprovalGiven",
    "ApprovalKind",
    "ApprovalRefused",
    "ApprovalRequested",
    "ApprovalUsed",
    "ApprovalVoided",
    "ApprovalWithdrawn",
    "ArtifactAdded",
    "BegunWith",
    "BoxStart",
    "BranchPublished",
    "BudgetWarned",
    "Candidate",
    "ChangesRecorded",
    "CheckResult",
    "ContextCompacted",
    "EachFailed",
    "EachRequested",
    "Event",
    "FeedbackGiven",
    "Hold",
    "HoldKind",
    "HoldsLifted",
    "Limit",
    "LimitReached",
    "MergeFailed",
    "ModelReplied",
    "NoteAdded",
    "PartDegraded",
    "PartRecovered",
    "PlanChanged",
    "PlanItem",
    "PromptCancelled",
    "PromptEdited",
    "PromptQueued",
    "PromptSteered",
    "PullRequestOpened",
    "PullRequestState",
    "PullRequestStateChanged",
    "PullRequestUpdated",
    "QuestionAnswered",
    "QuestionAsked",
    "Recorded",
    "RepositoryAsked",
    "RepositoryChosen",
    "RetryRequested",
    "RoutingFailed",
    "SandboxLost",
    "SandboxReady",
    "SessionArchived",
    "SessionOpened",
    "SessionStopped",
    "SteerRequested",
    "StopRequested",
    "TitleChanged",
    "ToolCalled",
    "ToolRequest",
    "ToolReturned",
    "ToolStatus",
    "TurnFailed",
    "TurnFinished",
    "TurnPaused",
    "TurnResumed",
    "TurnStarted",
    "UnknownEvent",
    "UntrustedRead",
    "UpdatePosted",
    "Verdict",
    "VerificationFinished",
    "WordsTaken",
    "WordsUnderstood",
    "WordsWithdrawn",
    "WorkHeldBack",
    "WorkspaceSynced",
    "decode",
    "encode",
]

# A session begins, and people talk to it


class SessionOpened(Event):
    """Somebody rang: the session exists and its repository is being worked out. `begun_with`: the session
    beside which it began, where a request was about several repositories."""

    title: str
    origin: Origin
    requester: Person
    begun_with: BegunWith | None = None


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
    """The repository is known. `how` names the step that decided; `by` the person who picked, if one did.
    A session that moves leaves behind in `former` what `dropped` names. In `beside` others do the same:
    `beside_sessions`, in that order."""

    slug: str
    branch: str
    how: Literal["named", "thread", "rule", "only", "model", "picked"]
    reason: str
    confidence: float = 1.0
    alternatives: tuple[Candidate, ...] = ()
    by: Person | None = None
    former: str = ""
    dropped: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    beside_sessions: tuple[str, ...] = ()


class RepositoryAsked(Event):
    """Nobody can tell which repository is meant, so the requester is asked; `candidates`: the top picks.

    together: all candidates seem to be meant, so a session in each of them is offered too.
    """

    reason: str
    candidates: tuple[Candidate, ...]
    together: bool = False


class EachRequested(Event):
    """Somebody wants a session for each repository of the question; the threads of the others come next."""

    by: Person


class EachFailed(Event):
    """Not all of those sessions could begin. The question stands; asked again, what is missing begins."""

    sentence: str


class RoutingFailed(Event):
    """Routing ended without a repository and without a question that could help."""

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
