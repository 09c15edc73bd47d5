"""A session as it could happen, event by event, for pages to show."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from session import events as e
from session.people import Attachment, Origin, Person, Prompt

ADA = Person(id="p-ada", name="Ada", email="ada@example.com")
GRACE = Person(id="p-grace", name="Grace")
SLUG = "acme/billing"
BASE, HEAD = "1f0c9a7be2d4" * 3, "9e41b07cc6aa" * 3

REQUEST = (
    "Invoices in CHF show the amount with a comma (1’234,50). Swiss customers expect 1’234.50. "
    "Can you fix it for the PDF and the e-mail?"
)
REPLY = (
    "The formatter takes its separators from the *language* (`de`) and not from the **currency's country**. "
    "I'll look at where both are read.\n\n"
    "```python\ndef format_amount(amount: Decimal, locale: str) -> str:\n"
    '    return babel.format_decimal(amount, locale=locale.split("_")[0])\n```\n'
)
ANSWER = (
    "Amounts in CHF now read `1’234.50` in the PDF and in the e-mail.\n\n"
    "- **Cause**: the locale was cut to its language before it reached Babel, so `de_CH` became `de`.\n"
    "- **Change**: the whole locale is passed on; `format_amount` refuses one it does not know.\n"
    "- **Not touched**: the CSV export, which always writes plain numbers.\n"
)
PLAN = (
    "Find where amounts are formatted",
    "Write a failing test for de_CH",
    "Pass the whole locale on",
    "Run the checks",
    "Open the pull request",
)


def prompt(prompt_id: str, text: str, author: Person = ADA, *, steer: bool = False) -> Prompt:
    """A prompt of one of the story's people."""
    return Prompt(id=prompt_id, text=text, author=author, steer=steer)


def opening(text: str = REQUEST, title: str = "Fix the decimal separator of CHF invoices") -> list[e.Event]:
    """The session begins, in a chat channel."""
    origin = Origin(platform="console", channel="c1", channel_name="billing", thread="t1", message="m1")
    first = prompt("pr1", text).model_copy(
        update={
            "attachments": (Attachment(name="invoice.pdf", media_type="application/pdf", size_bytes=48_211),)
        }
    )
    return [e.SessionOpened(title=title, origin=origin, requester=ADA), e.PromptQueued(prompt=first)]


def start(turn: str = "t1", prompt_id: str = "pr1", epoch: int = 1) -> list[e.Event]:
    """The repository is found and a worker takes the prompt up."""
    return [
        e.RepositoryChosen(
            slug=SLUG, branch="main", how="model", reason="invoices are made there", confidence=0.94
        ),
        e.TurnStarted(turn_id=turn, prompt_id=prompt_id, model="gpt-5.1-codex", epoch=epoch),
        e.SandboxReady(
            backend="docker",
            isolation="A container of its own: no network, no privileges.",
            box="b1",
            image="bellhop-box:1",
        ),
    ]


def plan(done: int) -> e.PlanChanged:
    """The agent's plan with the first `done` steps done and the next under way."""
    states = ["done"] * done + ["in_progress"] + ["pending"] * len(PLAN)
    return e.PlanChanged(
        items=tuple(
            e.PlanItem.model_validate({"text": text, "status": status})
            for text, status in zip(PLAN, states, strict=False)
        )
    )


def call(
    call_id: str,
    tool: str,
    action: str,
    arguments: str = "{}",
    output: str = "ok",
    status: e.ToolStatus = "ok",
) -> list[e.Event]:
    """A tool call from the model's request to its return."""
    return [
        e.ModelReplied(
            turn_id="t1",
            text="",
            tool_calls=(e.ToolRequest(call_id=call_id, tool=tool, arguments=arguments),),
            model="gpt-5.1-codex",
            input_tokens=4_100,
            output_tokens=180,
            cost_usd=Decimal("0.0123"),
        ),
        e.ToolCalled(turn_id="t1", call_id=call_id, tool=tool, action=action),
        e.ToolReturned(
            turn_id="t1", call_id=call_id, tool=tool, status=status, output=output, duration_seconds=0.4
        ),
    ]


def work() -> Iterator[e.Event]:
    """The turn up to the point where a person is asked."""
    yield plan(0)
    yield e.ModelReplied(turn_id="t1", text=REPLY, model="gpt-5.1-codex", cost_usd=Decimal("0.02"))
    yield from call("c1", "search", "looking for format_amount", '{"pattern": "format_amount"}', "3 hits")
    yield from call("c2", "read_file", "reading billing/money.py", '{"path": "billing/money.py"}')
    yield plan(1)
    yield from call(
        "c3",
        "shell",
        "running the tests in billing",
        '{"command": "pytest -q tests/test_money.py"}',
        "\x1b[31mFAILED\x1b[0m tests/test_money.py::test_swiss_francs\n1 failed, 11 passed in 0.82s",
        "error",
    )
    yield e.NoteAdded(turn_id="t1", text="The test you wrote fails, as it should. Go on with the fix.")
    yield plan(2)
    yield from call("c4", "edit_file", "changing billing/money.py", '{"path": "billing/money.py"}')
    yield plan(3)
    yield e.UpdatePosted(
        text="The cause is found: the locale loses its country. The fix is small; checks run."
    )


def finish(diff_artifact: str | None = None) -> Iterator[e.Event]:
    """Checks, and the question whether the pull request may be opened."""
    yield e.ChangesRecorded(
        base_sha=BASE, head_sha=HEAD, files=3, insertions=21, deletions=6, diff_artifact=diff_artifact
    )
    yield e.VerificationFinished(
        turn_id="t1",
        head_sha=HEAD,
        verdict="passed",
        checks=(
            e.CheckResult(
                command="pytest -q", verdict="passed", exit_code=0, duration_seconds=8.2, output="12 passed"
            ),
            e.CheckResult(command="ruff check .", verdict="passed", exit_code=0, duration_seconds=0.3),
        ),
    )
    yield plan(4)
    yield approval()


def approval(approval_id: str = "a1", excluded: tuple[str, ...] = ()) -> e.ApprovalRequested:
    """The question whether the pull request may be opened."""
    return e.ApprovalRequested(
        approval_id=approval_id,
        kind="pull_request",
        title="Open the pull request “Keep the country of a locale”?",
        detail="3 files, +21 −6, into `main` of acme/billing. All checks passed.",
        digest="d" * 64,
        head_sha=HEAD,
        policy_version="1",
        expires_at=datetime.now(UTC) + timedelta(minutes=30),
        turn_id="t1",
        call_id="c9",
        excluded=excluded,
    )


def ending() -> Iterator[e.Event]:
    """Yes, pull request, answer."""
    yield e.ApprovalGiven(approval_id="a1", digest="d" * 64, by=GRACE)
    yield e.ApprovalUsed(approval_id="a1")
    yield e.BranchPublished(
        branch="bellhop/k3f9/chf", head_sha=HEAD, compare_url="https://example.com/compare"
    )
    yield e.PullRequestOpened(
        number=482,
        url="https://example.com/acme/billing/pull/482",
        branch="bellhop/k3f9/chf",
        base="main",
        head_sha=HEAD,
        title="Keep the country of a locale",
        draft=False,
        author="ada",
    )
    yield plan(5)
    yield e.TurnFinished(turn_id="t1", summary=ANSWER, evidence=f"Checks passed on {HEAD[:9]}.")


MONEY_PATCH = """\
--- a/billing/money.py
+++ b/billing/money.py
@@ -10,8 +10,10 @@ from decimal import Decimal
{blank}
 def format_amount(amount: Decimal, locale: str) -> str:
     \"\"\"The amount as people in that country write it.\"\"\"
-    language = locale.split("_")[0]
-    return format_decimal(amount, locale=language)
+    known = Locale.parse(locale)  # raises UnknownLocaleError
+    if known.territory is None:
+        raise ValueError(f"{locale} names no country")
+    return format_decimal(amount, locale=known)
{blank}
{blank}
 def parse_amount(text: str) -> Decimal:
""".replace("{blank}", " ")
TEST_PATCH = """\
--- /dev/null
+++ b/tests/test_money.py
@@ -0,0 +1,5 @@
+from decimal import Decimal
+
+
+def test_swiss_francs() -> None:
+    assert format_amount(Decimal("1234.50"), "de_CH") == "1’234.50"
"""
PATCHES = json.dumps(
    [
        {"path": "billing/money.py", "insertions": 4, "deletions": 2, "patch": MONEY_PATCH},
        {"path": "tests/test_money.py", "status": "added", "insertions": 5, "patch": TEST_PATCH},
        {"path": "README.md", "old_path": "README", "status": "renamed"},
    ]
)


def governed() -> Iterator[e.Event]:
    """What governance adds to a turn: secrets in the box, strangers' words, budgets, and things to allow."""
    yield e.SandboxReady(
        backend="docker",
        isolation="Container, no network, no privileges",
        box="b1",
        image="bellhop-box:1",
        secrets=("PAYMENT_SANDBOX_KEY", "SMTP_PASSWORD"),
    )
    yield e.WorkspaceSynced(turn_id="t1", seconds=4.2, waited_seconds=1.3, services=("postgres", "redis"))
    yield e.UntrustedRead(source="docs.example.com")
    yield e.BudgetWarned(budget="money_usd", text="80 % of this session's money is used: $4.02 of $5.00.")
    yield e.PartDegraded(
        part="broker", detail="it does not answer; nothing is fetched or pushed until it is back"
    )
    yield e.PartRecovered(part="broker")
    yield governance_approval(
        "g1",
        "egress",
        "Reach api.example.com?",
        "Path: `/v2/rates`\n\nReason: the test needs today's exchange rates.",
        "GET api.example.com:443",
    )
    yield governance_approval(
        "g2",
        "command",
        "Run a command of the kind “terraform apply”?",
        "```\ncd infra && terraform apply -auto-approve\n```\n\nThe rule is advisory.",
        "cd infra && terraform apply -auto-approve",
    )
    yield governance_approval(
        "g3", "budget", "Go on beyond the budget?", "$5.02 of $5.00 is used.", "money_usd"
    )
    yield governance_approval("g4", "plan", "A plan of 2 steps", "1. Keep the locale\n2. Add a test", "")


def governance_approval(
    approval_id: str, kind: e.ApprovalKind, title: str, detail: str, subject: str
) -> e.ApprovalRequested:
    """Something of that kind to allow."""
    return e.ApprovalRequested(
        approval_id=approval_id,
        kind=kind,
        title=title,
        detail=detail,
        digest=approval_id * 20,
        policy_version="1",
        expires_at=datetime.now(UTC) + timedelta(minutes=30),
        turn_id="t1",
        subject=subject,
    )
