"""How many steps a turn may take before a person is asked whether it should go on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sandbox.agent.stuck import Remark
from session import events as e

WARN_SHARE = 0.8


@dataclass(frozen=True, slots=True)
class TurnLimits:
    """At most `max_steps` answers of the model in a turn, and again as many each time somebody says go on.
    Nothing is lost by reaching them. What a session may cost is its budgets' (`turn_budgets.py`)."""

    max_steps: int

    def look(self, records: Sequence[e.Recorded]) -> Remark | None:
        """What the turn's records call for now; the warning comes once for each allowance."""
        steps, warned = 0, False
        for record in records:
            match record.event:
                case e.ModelReplied():
                    steps += 1
                case e.QuestionAnswered():
                    steps, warned = 0, False
                case e.NoteAdded(text=text) if text == self.warning:
                    warned = True
        if steps >= self.max_steps:
            return Remark(
                "ask", f"I have used all {self.max_steps} steps of this turn and am not done. Shall I go on?"
            )
        if steps >= self.max_steps * WARN_SHARE and not warned:
            return Remark("nudge", self.warning)
        return None

    @property
    def warning(self) -> str:
        """What the agent is told when most of its steps are used."""
        return (
            f"Most of the {self.max_steps} steps of this turn are used. "
            "Bring the work to a state worth showing, then finish."
        )
