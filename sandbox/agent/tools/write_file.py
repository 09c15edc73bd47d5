"""The tool `write_file`."""

from __future__ import annotations

from pydantic import Field

from sandbox.agent.tool import Arguments, Tool, ToolResult
from sandbox.agent.tool_context import ToolContext


class WriteFileArguments(Arguments):
    path: str = Field(min_length=1, description="File, relative to the workspace.")
    content: str = Field(description="The file's whole new content.")


class WriteFile(Tool[WriteFileArguments]):
    """Writes a whole file."""

    name = "write_file"
    description = (
        "Write a file, replacing what it held; folders are made. To change part of a file use edit_file."
    )
    arguments = WriteFileArguments
    mutates = True
    journaled = True

    def action(self, arguments: WriteFileArguments) -> str:
        return f"writing {arguments.path}"

    async def run(self, context: ToolContext, arguments: WriteFileArguments) -> ToolResult:
        done = await context.runner.write_file(context.call_id, arguments.path, arguments.content)
        what = "Created" if done.created else "Replaced"
        return ToolResult(
            context.with_instructions(done.path, f"{what} {done.path}, {done.bytes_written} bytes.")
        )
