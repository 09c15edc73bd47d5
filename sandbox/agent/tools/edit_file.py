"""The tool `edit_file`."""

from __future__ import annotations

from pydantic import Field

from sandbox.agent.tool import Arguments, Tool, ToolResult
from sandbox.agent.tool_context import ToolContext


class EditFileArguments(Arguments):
    path: str = Field(min_length=1, description="File, relative to the workspace.")
    old_string: str = Field(min_length=1, description="Text to replace, as it stands in the file.")
    new_string: str = Field(description="What stands there afterwards.")
    replace_all: bool = Field(False, description="Replace every place instead of the only one.")


class EditFile(Tool[EditFileArguments]):
    """Replaces text in a file."""

    name = "edit_file"
    description = (
        "Replace text in a file. old_string must be found exactly once (or give replace_all); include a "
        "line or two around it to make it unique. Read the file first."
    )
    arguments = EditFileArguments
    mutates = True
    journaled = True

    def action(self, arguments: EditFileArguments) -> str:
        return f"editing {arguments.path}"

    async def run(self, context: ToolContext, arguments: EditFileArguments) -> ToolResult:
        done = await context.runner.edit_file(
            context.call_id,
            arguments.path,
            arguments.old_string,
            arguments.new_string,
            arguments.replace_all,
        )
        how = "" if done.matched_by == "exact" else f", found but for {done.matched_by}"
        places = "1 place" if done.replacements == 1 else f"{done.replacements} places"
        return ToolResult(
            context.with_instructions(done.path, f"Edited {done.path} in {places}{how}.\n{done.diff}")
        )
