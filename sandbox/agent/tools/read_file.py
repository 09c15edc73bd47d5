"""The tool `read_file`."""

from __future__ import annotations

from pydantic import Field

from sandbox.agent.tool import Arguments, Tool, ToolResult
from sandbox.agent.tool_context import ToolContext

DEFAULT_LINES = 400
MAX_LINES = 2000


class ReadFileArguments(Arguments):
    path: str = Field(min_length=1, description="File, relative to the workspace.")
    offset: int = Field(1, ge=1, description="First line to read, counted from 1.")
    limit: int = Field(DEFAULT_LINES, ge=1, le=MAX_LINES, description="How many lines to read.")


class ReadFile(Tool[ReadFileArguments]):
    """Shows lines of a text file, numbered."""

    name = "read_file"
    description = "Read a text file. Lines come with their numbers, which are not part of the file."
    arguments = ReadFileArguments
    mutates = False
    journaled = False
    at_once = True

    def action(self, arguments: ReadFileArguments) -> str:
        return f"reading {arguments.path}"

    async def run(self, context: ToolContext, arguments: ReadFileArguments) -> ToolResult:
        part = await context.runner.read_file(arguments.path, arguments.offset, arguments.limit)
        lines = part.text.removesuffix("\n").split("\n") if part.text else []
        numbered = "\n".join(
            f"{number:>5}  {line}" for number, line in enumerate(lines, start=part.first_line)
        )
        if not numbered:
            numbered = "(the file is empty)" if part.total_lines == 0 else "(there are no lines there)"
        if part.last_line < part.total_lines:
            numbered += (
                f"\n[lines up to {part.last_line} of {part.total_lines}; "
                f"read on with offset {part.last_line + 1}]"
            )
        return ToolResult(context.with_instructions(part.path, numbered))
