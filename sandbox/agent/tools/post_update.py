"""The tool `post_update`."""

from __future__ import annotations

from pydantic import Field

from sandbox.agent.tool import Arguments, Tool, ToolResult
from sandbox.agent.tool_context import ToolContext
from session.events import UpdatePosted

MAX_CHARACTERS = 1500


class PostUpdateArguments(Arguments):
    text: str = Field(min_length=1, max_length=MAX_CHARACTERS, description="What people should know now.")


class PostUpdate(Tool[PostUpdateArguments]):
    """Tells the thread something while the work goes on."""

    name = "post_update"
    description = (
        "Post a short message in the thread while you go on working: a finding that changes the picture, a "
        "decision people may want to overrule. Not for progress (plan shows that) and not for the final "
        "answer (finish)."
    )
    arguments = PostUpdateArguments
    mutates = True
    journaled = False
    at_once = True

    def action(self, arguments: PostUpdateArguments) -> str:
        return "posting an update"

    async def run(self, context: ToolContext, arguments: PostUpdateArguments) -> ToolResult:
        return ToolResult("Posted.", events=(UpdatePosted(text=arguments.text),))
