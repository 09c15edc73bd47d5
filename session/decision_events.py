"""What people decide, and what becomes of the pull request, in the past tense."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from session.people import Person
from session.vocabulary import ApprovalKind, Event, PullRequestState

# People decide


class ApprovalRequested(Event):
    """A person is asked; it counts only for this digest, head SHA and policy version, until it expires.

    `blocking` is True when the turn waits for it. `excluded` lists ids of people who may not approve it.
    `subject` is what it is about in a form for machines: `METHOD host:port` for `egress`, the command for
    `command`, the budget's name for `budget`.
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
    subject: str = ""


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
    """Somebody wants it stopped; no new effect begins after this. `halt` is the reason (or empty) where all
    work was stopped, None where only this session is. `moving`: to go on in another repository."""

    by: Person
    halt: str | None = None
    moving: bool = False


class SessionStopped(Event):
    """Everything of the session stands still. Prompts in line are kept. The rest is as in StopRequested."""

    turn_id: str | None
    by: Person
    halt: str | None = None
    moving: bool = False


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
