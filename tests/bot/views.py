"""Sessions in every state, for tests of what is shown of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from session import events as e
from session.events import Recorded
from session.fold import fold
from session.people import Origin, Person, Prompt
from session.view import SessionView

ADA = Person(id="p1", name="Ada")
GRACE = Person(id="p2", name="Grace")
START = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
ORIGIN = Origin(platform="console", workspace="console", channel="console", thread="m1", message="m1")


def recorded(events: Sequence[e.Event], first: int = 1) -> list[Recorded]:
    """The events in their places, ten seconds apart."""
    return [
        Recorded("s1", seq, START + timedelta(seconds=10 * seq), event)
        for seq, event in enumerate(events, first)
    ]


def view_of(*events: e.Event) -> SessionView:
    """The session after those events."""
    return fold(recorded([*OPENED, *events]))


def prompt(number: int = 1, text: str = "round invoices half up", author: Person = ADA) -> Prompt:
    """The prompt of message `m<number>`."""
    return Prompt(id=f"prompt{number}", text=text, author=author, message=f"m{number}")


ASKED_EGRESS = e.ApprovalRequested(
    approval_id="a1",
    kind="egress",
    title="Reach api.example.com?",
    detail="Path: `/v2/rates`\n\nReason: the test needs today's exchange rates.",
    digest="d1",
    policy_version="1",
    expires_at=START + timedelta(minutes=30),
    subject="GET api.example.com:443",
)
ASKED_COMMAND = ASKED_EGRESS.model_copy(
    update={
        "kind": "command",
        "title": "Run a command of the kind `terraform apply`?",
        "detail": "```\ncd infra && terraform apply -auto-approve\n```\n\nThe rule is advisory.",
        "subject": "cd infra && terraform apply -auto-approve",
    }
)
ASKED_BUDGET = ASKED_EGRESS.model_copy(
    update={
        "kind": "budget",
        "title": "Go on beyond the budget?",
        "detail": "$5.02 of $5.00 is used.",
        "subject": "money_usd",
    }
)

ASKED_PLAN = ASKED_EGRESS.model_copy(
    update={
        "kind": "plan",
        "title": "A plan of 2 steps",
        "detail": "1. Find the rounding\n2. Round half up",
        "subject": "",
    }
)


def asked_approval(kind: e.ApprovalKind = "pull_request", blocking: bool = True) -> e.ApprovalRequested:
    """A request for approval."""
    return e.ApprovalRequested(
        approval_id="a1",
        kind=kind,
        title="Round half up",
        detail="2 files, +10 −2",
        digest="d1",
        head_sha="0123456789abcdef",
        policy_version="1",
        expires_at=START + timedelta(minutes=30),
        blocking=blocking,
    )


OPENED = (
    e.SessionOpened(title="Round invoices half up", origin=ORIGIN, requester=ADA),
    e.PromptQueued(prompt=prompt()),
)
ASKED = e.RepositoryAsked(reason="It could be two.", candidates=(e.Candidate(slug="acme/web"),))
CHOSEN = e.RepositoryChosen(slug="acme/billing", branch="main", how="model", reason="invoices")
STARTED = e.TurnStarted(turn_id="t1", prompt_id="prompt1", model="test-model", epoch=1)
READY = e.SandboxReady(backend="local", isolation="namespaces, no network", box="b1", image="base")
PLAN = e.PlanChanged(
    items=(
        e.PlanItem(text="find the rounding", status="done"),
        e.PlanItem(text="round half up", status="in_progress"),
        e.PlanItem(text="run the tests"),
    )
)
CALLED = e.ToolCalled(turn_id="t1", call_id="c1", tool="bash", action="running the tests in `billing`")
REPLIED = e.ModelReplied(
    turn_id="t1", text="", model="test-model", input_tokens=1000, output_tokens=50, cost_usd=Decimal("0.0312")
)
CHANGES = e.ChangesRecorded(base_sha="b" * 40, head_sha="a" * 40, files=2, insertions=10, deletions=2)
GREEN = e.VerificationFinished(
    turn_id="t1",
    head_sha="a" * 40,
    verdict="passed",
    checks=(e.CheckResult(command="pytest", verdict="passed"),),
)
OPENED_PULL_REQUEST = e.PullRequestOpened(
    number=7,
    url="https://github.com/acme/billing/pull/7",
    branch="bellhop/s1/round",
    base="main",
    head_sha="a" * 40,
    title="Round half up",
    draft=False,
    author="ada",
)
FINISHED = e.TurnFinished(turn_id="t1", summary="Rounded **half up**.", evidence="12 tests pass.")
FAILED = e.TurnFailed(turn_id="t1", cause="The model does not answer.", advice="Try again in a while.")
LEAKED = e.Hold(
    kind="secret", what="holds what looks like a GitHub token", path="config/`prod`.env", commit="c" * 40
)
HELD_BACK = e.WorkHeldBack(holds=(LEAKED,), saved=True)
UNSAVED = e.PartDegraded(
    part="sandbox",
    detail="the work could not be saved outside of it, and would be lost with it. "
    "There are more than 2000 new commits; squash them, or build on the base",
)
RUNNING = (CHOSEN, STARTED, READY, REPLIED, PLAN, CALLED)

STATES: dict[str, tuple[e.Event, ...]] = {
    "routing": (),
    "awaiting_repository": (ASKED,),
    "queued": (CHOSEN,),
    "starting": (CHOSEN, STARTED),
    "running": RUNNING,
    "running_with_a_line": (*RUNNING, e.PromptQueued(prompt=prompt(2, "add a test", GRACE))),
    "stopping": (*RUNNING, e.StopRequested(by=GRACE)),
    "awaiting_approval": (*RUNNING, CHANGES, GREEN, asked_approval()),
    "awaiting_answer": (
        *RUNNING,
        e.QuestionAsked(question_id="q1", turn_id="t1", call_id="c2", text="Which?", options=("up", "even")),
    ),
    "paused": (*RUNNING, e.TurnPaused(turn_id="t1", cause="the model does not answer")),
    "degraded": (*RUNNING, e.PartDegraded(part="GitHub", detail="the pull request has to wait")),
    "degraded_broker": (
        *RUNNING,
        e.PartDegraded(part="broker", detail="the broker does not answer; nothing is fetched or pushed"),
    ),
    "contained": (
        *RUNNING,
        e.LimitReached(turn_id="t1", limit="memory"),
        e.LimitReached(turn_id="t1", limit="memory"),
        e.LimitReached(turn_id="t1", limit="output"),
        FINISHED,
    ),
    "held_back": (*RUNNING, HELD_BACK, UNSAVED),
    "held_back_and_lifted": (*RUNNING, HELD_BACK, e.HoldsLifted(holds=(LEAKED,))),
    "failed_and_unsaved": (
        *RUNNING,
        UNSAVED,
        FAILED.model_copy(update={"advice": "The work is saved. Rest."}),
    ),
    "with_secrets": (
        *RUNNING,
        READY.model_copy(update={"secrets": ("PAYMENT_SANDBOX_KEY", "SMTP_PASSWORD")}),
    ),
    "idle": (*RUNNING, CHANGES, GREEN, OPENED_PULL_REQUEST, FINISHED),
    "idle_with_an_approval": (
        *RUNNING,
        OPENED_PULL_REQUEST,
        FINISHED,
        asked_approval("merge", blocking=False),
    ),
    "stopped": (*RUNNING, e.StopRequested(by=GRACE), e.SessionStopped(turn_id="t1", by=GRACE)),
    "failed": (*RUNNING, FAILED),
    "archived": (*RUNNING, FINISHED, e.SessionArchived(by=ADA)),
}
"""The events after opening that lead to each state people may see."""
