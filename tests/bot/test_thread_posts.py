"""What each event says in the thread, word for word."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bot.messages import Choice
from bot.platforms.console.wording import plain_text
from bot.thread_posts import BeginEach, Know, Mark, Reword, Say, Step, ThreadPosts
from session import events as e
from session.fold import apply
from session.view import SessionView
from tests.bot.views import (
    ADA,
    ASKED,
    ASKED_BUDGET,
    ASKED_COMMAND,
    ASKED_EGRESS,
    ASKED_PLAN,
    CHANGES,
    CHOSEN,
    FAILED,
    FINISHED,
    GRACE,
    GREEN,
    HELD_BACK,
    LEAKED,
    OPENED,
    OPENED_PULL_REQUEST,
    READY,
    STARTED,
    UNSAVED,
    asked_approval,
    prompt,
    recorded,
)

SNAPSHOT = Path(__file__).with_name("posts.txt")
POSTS = ThreadPosts(
    "https://bellhop.example.com", (Choice("acme/web", "acme/web"), Choice("acme/api", "acme/api"))
)
RED = e.VerificationFinished(
    turn_id="t1",
    head_sha="a" * 40,
    verdict="failed",
    checks=(
        e.CheckResult(command="ruff check", verdict="passed"),
        e.CheckResult(command="pytest", verdict="failed"),
    ),
)
NOT_RUN = e.VerificationFinished(
    turn_id="t1", head_sha="a" * 40, verdict="not_run", reason="no checks are set"
)
PICKED = CHOSEN.model_copy(update={"how": "picked", "by": GRACE})
LARGE = e.Hold(
    kind="commit",
    what="is larger than the 5 MB that one file may have",
    path="data/all <!channel>.bin",
    commit="d" * 40,
)
QUESTION = e.QuestionAsked(
    question_id="q1", turn_id="t1", call_id="c1", text="Which way?", options=("up", "even")
)
FROM_PAGE = prompt(3, "and the\ncredit notes", GRACE).model_copy(update={"message": ""})
RUNNING = (CHOSEN, STARTED, READY)

BOTH = (e.Candidate(slug="acme/web"), e.Candidate(slug="acme/billing"))

STORIES: dict[str, Sequence[e.Event]] = {
    "a repository is asked for and picked": (ASKED, PICKED),
    "several are meant, and each gets a session": (
        ASKED.model_copy(update={"candidates": BOTH, "together": True}),
        e.EachRequested(by=GRACE),
        e.EachFailed(sentence="I cannot begin a thread for acme/web here at the moment."),
        e.EachRequested(by=GRACE),
        PICKED.model_copy(update={"beside": ("acme/web",)}),
    ),
    "green, approved, merged": (
        *RUNNING,
        CHANGES,
        GREEN,
        asked_approval(),
        e.ApprovalGiven(approval_id="a1", digest="d1", by=GRACE),
        e.ApprovalUsed(approval_id="a1"),
        OPENED_PULL_REQUEST,
        FINISHED,
        e.PullRequestStateChanged(number=7, state="merged", by="grace"),
    ),
    "red, refused, closed": (
        *RUNNING,
        CHANGES,
        RED,
        asked_approval(),
        e.ApprovalRefused(approval_id="a1", by=GRACE),
        OPENED_PULL_REQUEST,
        FINISHED,
        e.PullRequestStateChanged(number=7, state="closed", by=""),
    ),
    "unverified, taken back, out of time": (
        *RUNNING,
        CHANGES,
        NOT_RUN,
        asked_approval("merge", blocking=False),
        e.ApprovalGiven(approval_id="a1", digest="d1", by=GRACE),
        e.ApprovalWithdrawn(approval_id="a1", by=GRACE),
        e.ApprovalVoided(approval_id="a1", reason="its time ran out"),
        FINISHED,
    ),
    "a question, an update, a follow-up from the page, a stop": (
        *RUNNING,
        QUESTION,
        e.QuestionAnswered(question_id="q1", text="even, please", by=GRACE),
        e.UpdatePosted(text="Found it in `rounding.py`."),
        e.PromptQueued(prompt=FROM_PAGE),
        e.StopRequested(by=GRACE),
        e.SessionStopped(turn_id="t1", by=GRACE),
    ),
    "all work is stopped": (*RUNNING, e.SessionStopped(turn_id="t1", by=GRACE, halt="a key\nleaked.")),
    "all work is stopped, with a follow-up and no reason": (
        *RUNNING,
        e.PromptQueued(prompt=FROM_PAGE),
        e.SessionStopped(turn_id="t1", by=GRACE, halt=""),
    ),
    "a failure, then routing fails, then a merge": (
        *RUNNING,
        FAILED,
        e.RoutingFailed(cause="No repository is set up.", advice="Add one to repositories.yaml."),
        e.MergeFailed(cause="The branch moved.", advice="Approve it again."),
    ),
    "an address is allowed": (
        *RUNNING,
        e.UntrustedRead(source="docs.example.com"),
        ASKED_EGRESS,
        e.ApprovalGiven(approval_id="a1", digest="d1", by=GRACE),
        e.ApprovalUsed(approval_id="a1"),
    ),
    "a command is not": (*RUNNING, ASKED_COMMAND, e.ApprovalRefused(approval_id="a1", by=GRACE)),
    "a plan is refused, then one approved": (
        *RUNNING,
        ASKED_PLAN,
        e.ApprovalRefused(approval_id="a1", by=GRACE),
        ASKED_PLAN.model_copy(update={"approval_id": "a2"}),
        e.ApprovalGiven(approval_id="a2", digest="d1", by=ADA),
        e.ApprovalUsed(approval_id="a2"),
    ),
    "a tool is asked about for the session": (
        *RUNNING,
        ASKED_COMMAND.model_copy(
            update={
                "title": "Let the agent use tracker/close?",
                "detail": "A yes lets this session use the tool until it ends.",
                "subject": "mcp call tracker/close d1",
            }
        ),
    ),
    "the sandbox dies and is another, then is started again": (
        *RUNNING,
        e.SandboxLost(cause="out of memory"),
        READY.model_copy(
            update={"replaced": True, "restored": "all files are as last saved", "services": ("db", "redis")}
        ),
        e.SandboxLost(cause="killed"),
        READY,
        FINISHED,
    ),
    "the sandbox is gone between two turns, with and without anything saved": (
        *RUNNING,
        FINISHED,
        READY.model_copy(update={"replaced": True, "restored": "everything is as it was"}),
        READY.model_copy(update={"replaced": True}),
        READY.model_copy(update={"replaced": True, "let_go": True}),
    ),
    "a budget runs low and out": (
        *RUNNING,
        e.BudgetWarned(budget="money_usd", text="80 % of this session's money is used: $4.02 of $5.00."),
        ASKED_BUDGET,
        e.ApprovalVoided(approval_id="a1", reason="its time ran out"),
    ),
    "work is held back": (
        *RUNNING,
        HELD_BACK,
        e.WorkHeldBack(holds=(LARGE, e.Hold(kind="handover", what="A push is damaged.")), saved=False),
        e.WorkHeldBack(
            holds=tuple(LARGE.model_copy(update={"path": f"data/{n}.bin"}) for n in range(7)), saved=True
        ),
        e.WorkHeldBack(holds=(LEAKED.model_copy(update={"path": ""}),), saved=True),
        e.HoldsLifted(holds=(LEAKED,)),
    ),
    "work cannot be saved": (
        *RUNNING,
        UNSAVED,
        FAILED.model_copy(update={"advice": "The work is saved. Say how to go on."}),
        e.SessionStopped(turn_id="t1", by=GRACE),
    ),
    "an answer without words": (*RUNNING, FINISHED.model_copy(update={"summary": " ", "evidence": ""})),
}


def steps(events: Sequence[e.Event]) -> list[Step]:
    """All that the thread shows of these events after a session was opened."""
    view: SessionView | None = None
    found: list[Step] = []
    for record in recorded([*OPENED, *events]):
        after = apply(view, record)
        found.extend(POSTS.steps(view, record, after))
        view = after
    return found


def described(step: Step) -> str:
    match step:
        case Say(post):
            return f"-- says ({post.kind})\n{plain_text(post)}"
        case Reword(post):
            return f"-- rewords ({post.kind})\n{plain_text(post)}"
        case Mark(message, remove, add):
            return f"-- under {message}: {remove} → {add}"
        case Know(message, ref):
            return f"-- knows {message} as {ref}"
        case BeginEach():
            return "-- begins each"


def all_stories() -> str:
    return "\n".join(
        f"== {name}\n" + "\n".join(described(step) for step in steps(events)) + "\n"
        for name, events in STORIES.items()
    )


def test_every_event_says_what_was_agreed() -> None:
    """To agree to new wording: `python -m tests.bot.test_thread_posts`, then read the difference."""
    assert all_stories() == SNAPSHOT.read_text(encoding="utf-8")


if __name__ == "__main__":
    SNAPSHOT.write_text(all_stories(), encoding="utf-8")
