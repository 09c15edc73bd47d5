"""What can happen while a turn runs, in the past tense."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from session.people import Person
from session.vocabulary import CheckResult, Event, Hold, Limit, PlanItem, ToolRequest, ToolStatus, Verdict


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


BoxStart = Literal["", "warm", "image", "base", "snapshot", "kept"]
"""How a turn came by its box: one that had waited in the warm pool, one made of the repository's image, of
the base or of a snapshot, or the one that the session has. Empty in records from before it was said."""


class SandboxReady(Event):
    """The box answers. `isolation` is the sentence shown on the card; `how` is how the turn came by the box;
    `replaced` says it is a new box for an earlier session, `restored` what came back in it, `let_go` that
    what was saved for it is not kept any more, `secrets` names what the box may read as files, `services`
    what runs for it beside it or in it; of a box that is made ready beside the agent that is known later."""

    backend: str
    isolation: str
    box: str
    image: str
    how: BoxStart = ""
    replaced: bool = False
    restored: str = ""
    let_go: bool = False
    secrets: tuple[str, ...] = ()
    services: tuple[str, ...] = ()


class WorkspaceSynced(Event):
    """The box is ready for work: its repository up to date, its services there, its set-up done. That took
    `seconds` beside the agent, of which tools that may not come before it waited `waited_seconds`."""

    turn_id: str
    seconds: float
    waited_seconds: float = 0.0
    services: tuple[str, ...] = ()


class SandboxLost(Event):
    """The box died under the turn; `cause` names why, as far as it is known ("out of memory")."""

    cause: str


class LimitReached(Event):
    """Something that the agent ran wanted more than a box may have of `limit`. It was ended or held back; the
    box goes on."""

    turn_id: str
    limit: Limit


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


class UntrustedRead(Event):
    """The session has read something that strangers can write; `source` names it ("packages.example.com",
    "a file that came with the request"). From here on, what reaches beyond its own thread needs an
    approval."""

    source: str


class BudgetWarned(Event):
    """Most of one of the session's budgets is used; `text` says so to people."""

    budget: str
    text: str


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


class WorkHeldBack(Event):
    """Work was to leave the sandbox and must not, for reasons that were not told yet. `saved` says that it is
    kept outside of the box too."""

    holds: tuple[Hold, ...]
    saved: bool


class HoldsLifted(Event):
    """These no longer keep the work back."""

    holds: tuple[Hold, ...]


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
