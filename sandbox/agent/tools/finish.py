"""The tool `finish`."""

from __future__ import annotations

from pydantic import Field

from sandbox.agent.tool import Arguments, Finished, Tool, ToolOutcome, ToolResult
from sandbox.agent.tool_context import ToolContext


class FinishArguments(Arguments):
    summary: str = Field(
        min_length=1, max_length=8000, description="The answer people read: the important thing first."
    )
    evidence: str = Field(
        "", max_length=4000, description="What you ran that shows it, with the lines of output that matter."
    )


class Finish(Tool[FinishArguments]):
    """Ends the turn, after the repository's checks if anything was changed."""

    name = "finish"
    description = (
        "End the turn with your answer. If the workspace has changes, the repository's checks run on them "
        "first, and failing ones come back to you. Call it alone, last."
    )
    arguments = FinishArguments
    mutates = True
    journaled = False

    def action(self, arguments: FinishArguments) -> str:
        return "finishing"

    async def run(self, context: ToolContext, arguments: FinishArguments) -> ToolOutcome:
        checked = await context.publication.conclude()
        if checked.refusal is not None:
            return ToolResult(checked.refusal, "error")
        summary = f"{arguments.summary}\n\n{checked.warning}" if checked.warning else arguments.summary
        return Finished(summary, arguments.evidence)
