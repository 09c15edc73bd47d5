"""The timeline of a session: a fold of its events into the items that people read, in their order."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from session import events as e
from session.fold import apply
from session.view import SessionView

KINDS: dict[type[e.Event], str] = {
    e.PromptQueued: "prompt",
    e.RepositoryChosen: "chosen",
    e.RepositoryAsked: "asked",
    e.EachRequested: "each",
    e.EachFailed: "each_failed",
    e.RoutingFailed: "failure",
    e.TurnStarted: "turn",
    e.TurnResumed: "resumed",
    e.SandboxReady: "sandbox",
    e.SandboxLost: "sandbox_lost",
    e.ModelReplied: "reply",
    e.NoteAdded: "note",
    e.ContextCompacted: "compacted",
    e.ToolCalled: "call",
    e.UntrustedRead: "untrusted",
    e.BudgetWarned: "budget",
    e.LimitReached: "limit",
    e.UpdatePosted: "update",
    e.QuestionAsked: "question",
    e.ChangesRecorded: "changes",
    e.WorkHeldBack: "held_back",
    e.HoldsLifted: "lifted",
    e.VerificationFinished: "verification",
    e.TurnFinished: "answer",
    e.TurnFailed: "failure",
    e.TurnPaused: "paused",
    e.ApprovalRequested: "approval",
    e.StopRequested: "stop_requested",
    e.SessionStopped: "stopped",
    e.RetryRequested: "retry",
    e.WordsUnderstood: "understood",
    e.WordsWithdrawn: "withdrawn",
    e.SessionArchived: "archived",
    e.PullRequestOpened: "pull_request",
    e.PullRequestStateChanged: "pull_request_state",
    e.MergeFailed: "failure",
    e.PartDegraded: "degraded",
    e.PartRecovered: "recovered",
}
"""Which events begin an item, and the macro of `items.html` that shows it."""

_TURN_ENDS = (e.TurnFinished, e.TurnFailed, e.SessionStopped)


@dataclass(frozen=True, slots=True)
class Item:
    """One entry of the timeline.

    `at` is the sequence of the event that began it and gives its place; `seq` that of the last event that
    changed it. `result` is the event that closed it (a tool's return, a question's answer, a sandbox that is
    ready for work) and `result_seq` its place; `reply_seq` points at the model's reply that holds a call's
    arguments. Bulky output is left out: it is read from the log when somebody unfolds the entry. `cut` marks
    a call whose turn ended first.
    """

    key: str
    at: int
    seq: int
    when: datetime
    kind: str
    event: e.Event
    result: e.Event | None = None
    result_seq: int | None = None
    reply_seq: int | None = None
    cut: bool = False


class Timeline:
    """The items of one session and its view, as of the last applied event."""

    def __init__(self) -> None:
        self.view: SessionView | None = None
        self.items: dict[str, Item] = {}
        self._changed_at: dict[int, list[str]] = {}
        self._replies: dict[str, int] = {}
        self._last_reply: str | None = None
        self._last_sandbox = ""

    @property
    def seq(self) -> int:
        """The sequence of the last applied event; 0 before the first."""
        return self.view.seq if self.view else 0

    def apply(self, record: e.Recorded) -> None:
        """Take the next event in.

        Raises: FoldError, when it is not the one that follows.
        """
        before = self.view
        self.view = apply(before, record)
        self._begin(record)
        self._close(record)
        if before is not None:
            self._follow_view(before, self.view, record.seq)

    def changed_at(self, seq: int) -> list[Item]:
        """The items whose last change was event `seq`."""
        found = (self.items[key] for key in self._changed_at.get(seq, ()))
        return [item for item in found if item.seq == seq]

    def item_at(self, seq: int) -> Item | None:
        """The item that event `seq` began."""
        return next((item for item in self.items.values() if item.at == seq), None)

    def _put(self, item: Item) -> None:
        self.items[item.key] = item
        self._changed_at.setdefault(item.seq, []).append(item.key)

    def _change(self, key: str, seq: int) -> None:
        item = self.items.get(key)
        if item is not None and item.seq != seq:
            self._put(replace(item, seq=seq))

    def _begin(self, record: e.Recorded) -> None:
        event, seq = record.event, record.seq
        kind = KINDS.get(type(event))
        if kind is None or (isinstance(event, e.WordsUnderstood) and event.meaning == "follow_up"):
            return
        reply_seq = None
        if isinstance(event, e.ModelReplied):
            self._replies.update((call.call_id, seq) for call in event.tool_calls)
            if not event.text.strip():
                return
            event = event.model_copy(update={"tool_calls": ()})
        elif isinstance(event, e.ToolCalled):
            reply_seq = self._replies.get(event.call_id)
        elif isinstance(event, e.VerificationFinished):
            event = event.model_copy(update={"checks": tuple(_tail(check) for check in event.checks)})
        key = _key(event, seq)
        if isinstance(event, e.ModelReplied):
            self._last_reply = key
        elif isinstance(event, e.SandboxReady):
            self._last_sandbox = key
        self._put(Item(key, seq, seq, record.at, kind, event, reply_seq=reply_seq))

    def _close(self, record: e.Recorded) -> None:
        event, seq = record.event, record.seq
        if isinstance(event, e.ToolReturned):
            self._close_item(f"call-{event.call_id}", event.model_copy(update={"output": ""}), seq)
        elif isinstance(event, e.QuestionAnswered):
            self._close_item(f"question-{event.question_id}", event, seq)
        elif isinstance(event, e.WorkspaceSynced):
            self._close_item(self._last_sandbox, event, seq)
        elif isinstance(event, _TURN_ENDS):
            self._cut_open_calls(seq)
        if isinstance(event, e.TurnFinished):
            self._fold_into_answer(event, seq)

    def _close_item(self, key: str, result: e.Event, seq: int) -> None:
        item = self.items.get(key)
        if item is not None:
            self._put(replace(item, result=result, result_seq=seq, seq=seq, cut=False))

    def _cut_open_calls(self, seq: int) -> None:
        for item in [i for i in self.items.values() if i.kind == "call" and i.result is None and not i.cut]:
            self._put(replace(item, cut=True, seq=seq))

    def _fold_into_answer(self, event: e.TurnFinished, seq: int) -> None:
        """A last reply that says just what the answer says is not shown a second time."""
        item = self.items.get(self._last_reply or "")
        if (
            item
            and isinstance(item.event, e.ModelReplied)
            and item.event.text.strip() == event.summary.strip()
        ):
            self._put(replace(item, kind="folded", seq=seq))

    def _follow_view(self, before: SessionView, after: SessionView, seq: int) -> None:
        """Renew the items whose subject changed state without an event that names them."""
        if before.prompts is not after.prompts:
            for old, new in zip(before.prompts, after.prompts, strict=False):
                if old is not new:
                    self._change(f"prompt-{new.prompt.id}", seq)
        if before.approvals is not after.approvals:
            for was, now in zip(before.approvals, after.approvals, strict=False):
                if was is not now:
                    self._change(f"approval-{now.request.approval_id}", seq)
        if before.question is not None and before.question is not after.question:
            self._change(f"question-{before.question.question_id}", seq)
        if before.asked is not None and (before.asked, before.each_by) != (after.asked, after.each_by):
            for key, item in self.items.items():
                if item.event is before.asked:
                    self._change(key, seq)
                    break


def _key(event: e.Event, seq: int) -> str:
    match event:
        case e.PromptQueued(prompt=prompt):
            return f"prompt-{prompt.id}"
        case e.ToolCalled(call_id=call_id):
            return f"call-{call_id}"
        case e.QuestionAsked(question_id=question_id):
            return f"question-{question_id}"
        case e.ApprovalRequested(approval_id=approval_id):
            return f"approval-{approval_id}"
        case _:
            return f"e{seq}"


def _tail(check: e.CheckResult) -> e.CheckResult:
    """The check with only the end of its output: the whole is on the checks page."""
    return check.model_copy(update={"output": check.output[-600:]})
