"""The tool `grep`."""

from __future__ import annotations

from pydantic import Field

from sandbox.agent.actions import shortened
from sandbox.agent.tool import Arguments, Tool, ToolResult
from sandbox.agent.tool_context import ToolContext

MAX_MATCHES = 200


class GrepArguments(Arguments):
    pattern: str = Field(min_length=1, description="Regular expression.")
    path: str = Field(".", description="File or folder to search, relative to the workspace.")
    glob: str | None = Field(None, description="Only files whose name matches, for example *.py.")
    ignore_case: bool = Field(False, description="Take upper and lower case as the same.")


class Grep(Tool[GrepArguments]):
    """Finds lines by regular expression."""

    name = "grep"
    description = (
        "Find lines that match a regular expression; files that git ignores are left out. "
        f"At most {MAX_MATCHES} lines."
    )
    arguments = GrepArguments
    mutates = False
    journaled = False
    at_once = True

    def action(self, arguments: GrepArguments) -> str:
        return f"searching for {shortened(arguments.pattern, 40)}"

    async def run(self, context: ToolContext, arguments: GrepArguments) -> ToolResult:
        found = await context.runner.grep(
            arguments.pattern,
            path=arguments.path,
            glob=arguments.glob,
            ignore_case=arguments.ignore_case,
            limit=MAX_MATCHES,
        )
        if not found.lines:
            return ToolResult("No line matches.")
        more = "\n[there are more; narrow the search]" if found.truncated else ""
        return ToolResult("\n".join(found.lines) + more)
