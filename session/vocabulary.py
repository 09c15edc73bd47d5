"""The words events are made of: their base, and the parts several of them share."""

from __future__ import annotations

from typing import Literal

from session.people import Declared

ApprovalKind = Literal["repository", "plan", "command", "egress", "pull_request", "merge", "budget"]
PullRequestState = Literal["draft", "open", "merged", "closed"]
Verdict = Literal["passed", "failed", "not_run"]
ToolStatus = Literal["ok", "error", "cancelled", "unknown"]
Limit = Literal["memory", "disk", "processes", "processor", "output"]
HoldKind = Literal["secret", "commit", "handover", "publication"]


class Event(Declared):
    """Base of all events; a subclass's name is its type in the log."""


class Candidate(Declared):
    """A repository that could be meant, with why."""

    slug: str
    description: str = ""
    reason: str = ""


class BegunWith(Declared):
    """The session with which others began, one for each repository of a request, and its repository then."""

    session_id: str
    slug: str


class Hold(Declared):
    """One thing that keeps work from leaving the sandbox.

    `what` says so to people and never holds the secret itself: of a file or commit it is the rest of a
    sentence ("holds what looks like a GitHub token"), else a sentence of its own. `kind`: a secret, something
    else in a commit, work that was not taken out of the box, or not published.
    """

    kind: HoldKind
    what: str
    path: str = ""
    commit: str = ""

    @property
    def key(self) -> tuple[str, str, str]:
        """What makes it the same finding, also after its commit was rewritten."""
        return (self.kind, self.path, self.what)


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
