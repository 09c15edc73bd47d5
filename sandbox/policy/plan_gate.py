"""Plans that people approve first: what has to wait until they have, and when they are asked (anew)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sandbox.agent.tool import Arguments, OfServer, Suspended, Tool, ToolResult
from sandbox.agent.turn_log import TurnLog
from sandbox.policy import asking
from session import events as e
from session.catalogue import Repository
from session.policy import policy_version
from session.view import ApprovalView

KIND: e.ApprovalKind = "plan"
FREE = frozenset({"ask_user", "finish", "load_skill", "plan", "post_update"})
"""Tools that wait for no plan although they run alone: they talk with people, fetch advice, end the turn.
What is not named here and does more than look has to wait, tools that are written later too."""

NOT_YET = (
    "Not done: in this repository people approve your plan before anything is changed. Look around with the "
    "tools that read, then call plan with the steps that you intend. When somebody has said yes, make this "
    "call again."
)
UNHEARD = "Not shown yet: people have just written something. Read it first, then call plan again."
STILL = "The plan they approved before still holds: go on by it, or present another one with plan."
ANOTHER = (
    "Nothing may be changed yet. Take up what people said, ask them with ask_user where you cannot tell what "
    "they want instead, and present another plan."
)


@dataclass(frozen=True, slots=True)
class PlanGate:
    """Holds a turn's tools back until a person has approved its plan, where the policy wants that.

    A yes counts for one turn, one wording of the steps and the policy as it was. `approval_minutes`: how long
    a request stands.
    """

    turn: TurnLog
    repository: Repository
    approval_minutes: float

    def refusal(self, tool: Tool[Arguments]) -> str:
        """Why a call of that tool has to wait, told to the model; empty when it may be made now."""
        return "" if not self._asks or _only_looks(tool) or self._approved() else NOT_YET

    async def instead(self, call_id: str, steps: Sequence[str]) -> ToolResult | Suspended | None:
        """What becomes of a call of `plan` instead of showing these steps; None when they are shown now.

        Steps that only moved on since they were approved ask nobody.
        Emits: ApprovalUsed, ApprovalVoided; asks with ApprovalRequested.
        """
        if not self._asks:
            return None
        lines = tuple(" ".join(step.split()) for step in steps)
        version = policy_version(self.repository)
        bound_to = asking.digest(*lines, version)
        item = asking.asked(self.turn.view, call_id, KIND)
        if item is None:
            approved = self._approved()
            if approved is not None and approved.request.digest == bound_to:
                return None
            if any(waiting.prompt.steer for waiting in self.turn.view.waiting_prompts):
                return ToolResult(UNHEARD, "error")
            return Suspended((self._request(call_id, lines, bound_to, version),))
        if item.state == "open":
            return Suspended()
        if why := await asking.refusal(self.turn, item, bound_to, version):
            then = STILL if self._approved() else ANOTHER
            return ToolResult(f"The plan is not approved: {why}. {then}", "error")
        return None

    @property
    def _asks(self) -> bool:
        return self.repository.approvals.plan == "ask"

    def _approved(self) -> ApprovalView | None:
        """The newest yes to a plan of this turn that took effect, if the policy is still the same."""
        turn_id, version = self.turn.turn_id, policy_version(self.repository)
        for item in reversed(self.turn.view.approvals):
            request = item.request
            if (request.kind, request.turn_id, item.state) == (KIND, turn_id, "used"):
                return item if request.policy_version == version else None
        return None

    def _request(
        self, call_id: str, lines: Sequence[str], bound_to: str, version: str
    ) -> e.ApprovalRequested:
        shown = self.turn.view.plan if self._approved() else ()
        before = tuple(" ".join(step.text.split()) for step in shown)
        size = "one step" if len(lines) == 1 else f"{len(lines)} steps"
        return asking.request(
            self.turn,
            call_id,
            KIND,
            title=f"The plan changes: {size} now" if before else f"A plan of {size}",
            detail=_detail(lines, before),
            subject="",
            bound_to=bound_to,
            policy_version=version,
            minutes=self.approval_minutes,
        )


def _only_looks(tool: Tool[Arguments]) -> bool:
    if isinstance(tool, OfServer):
        return tool.reads_only
    return not tool.mutates or tool.name in FREE


def _detail(lines: Sequence[str], before: Sequence[str]) -> str:
    """The steps as people read them, without how far they are: a yes is to the words alone."""
    listed = [
        f"{number}. {'**New:** ' if before and line not in before else ''}{asking.words(line)}"
        for number, line in enumerate(lines, start=1)
    ]
    gone = [asking.words(line) for line in before if line not in lines]
    left_out = ["", f"No longer in it: {'; '.join(gone)}."] if gone else []
    return "\n".join([*listed, *left_out])
