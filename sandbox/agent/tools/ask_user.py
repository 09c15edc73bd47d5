"""The tool `ask_user`."""

from __future__ import annotations

from uuid import uuid4

from pydantic import Field

from sandbox.agent.tool import Arguments, Suspended, Tool, ToolOutcome, ToolResult
from sandbox.agent.tool_context import ToolContext
from session.events import QuestionAnswered, QuestionAsked

MAX_OPTIONS = 5
MAX_OPTION_CHARACTERS = 75


class AskUserArguments(Arguments):
    question: str = Field(
        min_length=1, max_length=1500, description="One question, understandable without your context."
    )
    options: list[str] = Field(
        default_factory=list,
        max_length=MAX_OPTIONS,
        description="Up to five short answers to choose from; people may also answer in their own words.",
    )


class AskUser(Tool[AskUserArguments]):
    """Asks people; the turn waits for the answer."""

    name = "ask_user"
    description = (
        "Ask people a question and wait for the answer, which may take hours. Only when the answer changes "
        "what you build and the repository does not settle it."
    )
    arguments = AskUserArguments
    mutates = True
    journaled = False
    at_once = True

    def action(self, arguments: AskUserArguments) -> str:
        return "asking a question"

    async def run(self, context: ToolContext, arguments: AskUserArguments) -> ToolOutcome:
        asked = self._asked(context)
        if asked is None:
            options = tuple(option[:MAX_OPTION_CHARACTERS] for option in arguments.options)
            question = QuestionAsked(
                question_id=uuid4().hex[:12],
                turn_id=context.turn.turn_id,
                call_id=context.call_id,
                text=arguments.question,
                options=options,
            )
            return Suspended((question,))
        for record in context.turn.records:
            event = record.event
            if isinstance(event, QuestionAnswered) and event.question_id == asked.question_id:
                return ToolResult(f"{event.by.name} answers: {event.text}")
        return Suspended()

    def _asked(self, context: ToolContext) -> QuestionAsked | None:
        events = (record.event for record in context.turn.records)
        return next(
            (q for q in events if isinstance(q, QuestionAsked) and q.call_id == context.call_id), None
        )
