"""The tool `plan`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from sandbox.agent.tool import Arguments, Tool, ToolOutcome, ToolResult
from sandbox.agent.tool_context import ToolContext
from session.events import PlanChanged, PlanItem

MAX_ITEMS = 12
MAX_CHARACTERS = 120


class PlanStep(Arguments):
    text: str = Field(min_length=1, max_length=MAX_CHARACTERS, description="The step, in a few words.")
    status: Literal["pending", "in_progress", "done", "dropped"] = Field(
        "pending", description="Where it stands; at most one is in progress."
    )


class PlanArguments(Arguments):
    items: list[PlanStep] = Field(
        min_length=1, max_length=MAX_ITEMS, description="The whole plan as it is now, in order."
    )


class Plan(Tool[PlanArguments]):
    """Shows people the steps of the work and how far they are; asks them first where the policy wants it."""

    name = "plan"
    description = (
        "Show people your plan. Give all steps each time, with where they stand. Steps are outcomes people "
        "understand, not commands. Update it when a step ends, together with your next call."
    )
    arguments = PlanArguments
    mutates = True
    journaled = False
    at_once = True

    def action(self, arguments: PlanArguments) -> str:
        current = next((item.text for item in arguments.items if item.status == "in_progress"), None)
        return current or "planning"

    async def run(self, context: ToolContext, arguments: PlanArguments) -> ToolOutcome:
        steps = [item.text for item in arguments.items]
        if instead := await context.plans.instead(context.call_id, steps):
            return instead
        items = tuple(PlanItem(text=item.text, status=item.status) for item in arguments.items)
        open_steps = sum(item.status in ("pending", "in_progress") for item in items)
        return ToolResult(
            f"The plan is shown; {open_steps} of {len(items)} steps are open.",
            events=(PlanChanged(items=items),),
        )
