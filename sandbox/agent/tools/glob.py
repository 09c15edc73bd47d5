"""The tool `glob`."""

from __future__ import annotations

from pydantic import Field

from sandbox.agent.actions import shortened
from sandbox.agent.tool import Arguments, Tool, ToolResult
from sandbox.agent.tool_context import ToolContext

MAX_PATHS = 500


class GlobArguments(Arguments):
    pattern: str = Field(
        min_length=1, description="Path pattern; ** crosses folders, for example src/**/*.ts."
    )
    path: str = Field(".", description="Folder to look in, relative to the workspace.")


class Glob(Tool[GlobArguments]):
    """Finds files by path."""

    name = "glob"
    description = (
        "Find files whose path matches a pattern; files that git ignores are left out. "
        f"At most {MAX_PATHS} paths."
    )
    arguments = GlobArguments
    mutates = False
    journaled = False
    at_once = True

    def action(self, arguments: GlobArguments) -> str:
        return f"looking for {shortened(arguments.pattern, 40)}"

    async def run(self, context: ToolContext, arguments: GlobArguments) -> ToolResult:
        found = await context.runner.glob(arguments.pattern, path=arguments.path, limit=MAX_PATHS)
        if not found.paths:
            return ToolResult("No file matches.")
        more = "\n[there are more; narrow the pattern]" if found.truncated else ""
        return ToolResult("\n".join(found.paths) + more)
