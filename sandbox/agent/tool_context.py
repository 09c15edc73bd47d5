"""What a tool is given besides its arguments."""

from __future__ import annotations

from dataclasses import dataclass

from sandbox.agent.instructions import FolderInstructions
from sandbox.agent.turn_log import TurnLog
from sandbox.environments.runner_client import RunnerClient
from sandbox.policy.egress import EgressWatch
from sandbox.policy.permission import CommandPermission
from sandbox.policy.plan_gate import PlanGate
from sandbox.publication import Publication
from sandbox.workspace import Workspace
from session import events as e
from skills.library import SkillSet


@dataclass(frozen=True, slots=True)
class ToolContext:
    """One call's surroundings. `call_id` is unique in the session; a call that is run again keeps it.

    `commands` says which shell commands may run, `egress` asks about hosts that were out of reach, `plans`
    holds back what has to wait for an approved plan.
    """

    call_id: str
    turn: TurnLog
    workspace: Workspace
    publication: Publication
    skills: SkillSet
    instructions: FolderInstructions
    commands: CommandPermission
    egress: EgressWatch
    plans: PlanGate

    @property
    def runner(self) -> RunnerClient:
        """Calls into the box."""
        return self.workspace.runner

    def with_instructions(self, path: str, output: str) -> str:
        """`output`, followed by the instructions of the folders around `path` that were not shown yet."""
        outputs = (r.event.output for r in self.turn.records if isinstance(r.event, e.ToolReturned))
        more = self.instructions.below_root(path, outputs, self.workspace.path)
        return f"{output}\n\n{more}" if more else output
