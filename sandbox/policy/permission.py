"""What a turn's tools may do under the repository's policy, asked before and told after."""

from __future__ import annotations

from dataclasses import dataclass

from sandbox.agent.tool import Suspended, ToolResult
from sandbox.agent.turn_log import TurnLog
from sandbox.policy import asking
from sandbox.policy.commands import CommandRules, judge
from session import events as e
from session.catalogue import Repository
from session.policy import policy_version

SUBJECT_CHARACTERS = 2000
KIND: e.ApprovalKind = "command"
ADVISORY = (
    "(Command rules are advisory: they read what the command says, not what the programs it starts do.)"
)


@dataclass(frozen=True, slots=True)
class CommandPermission:
    """Holds shell commands of one turn against the rules. `approval_minutes`: how long a request stands."""

    turn: TurnLog
    repository: Repository
    rules: CommandRules
    approval_minutes: float

    async def instead(self, call_id: str, command: str, workdir: str | None) -> ToolResult | Suspended | None:
        """What becomes of the call instead of running its command; None when it may run, now.

        Emits: ApprovalUsed, ApprovalVoided; asks with ApprovalRequested.
        """
        judgement = judge(command, self.rules)
        if judgement.decision == "allow":
            return None
        if judgement.decision == "deny":
            return ToolResult(
                f"Not run. {judgement.why} Find another way, or say in your answer what a person must do.",
                "error",
            )
        version = policy_version(self.repository)
        bound_to = asking.digest(command, workdir, version)
        item = asking.asked(self.turn.view, call_id, KIND)
        if item is None:
            return Suspended((self._request(call_id, command, workdir, judgement.why, bound_to),))
        if item.state == "open":
            return Suspended()
        if why := await asking.refusal(self.turn, item, bound_to, version):
            return ToolResult(f"Not run: {why}. If it is still needed after that, ask for it anew.", "error")
        return None

    def _request(
        self, call_id: str, command: str, workdir: str | None, why: str, bound_to: str
    ) -> e.ApprovalRequested:
        where = [f"In {asking.code(workdir)}."] if workdir else []
        return asking.request(
            self.turn,
            call_id,
            KIND,
            title="Run a command in the sandbox",
            detail="\n".join([asking.code_block(command), *where, why, ADVISORY]),
            subject=command[:SUBJECT_CHARACTERS],
            bound_to=bound_to,
            policy_version=policy_version(self.repository),
            minutes=self.approval_minutes,
        )

    def never_ran(self, call_id: str) -> bool:
        """Whether the call was only asked about so far: its yes is used before anything runs."""
        item = asking.asked(self.turn.view, call_id, KIND)
        return item is not None and item.state != "used"
