"""Running the tool calls of one answer: in order, each recorded before and after, none twice."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import structlog
from pydantic import ValidationError

from sandbox.agent import output
from sandbox.agent.actions import shortened
from sandbox.agent.tool import Arguments, Finished, Suspended, Tool, ToolOutcome, ToolResult, schema_of
from sandbox.agent.tool_context import ToolContext
from sandbox.agent.turn_log import StopSeen, TurnLog
from sandbox.environments.runner_client import RunnerError, RunnerGone
from sandbox.workspace import Workspace
from session import events as e

MAX_SIDE_BY_SIDE = 8
HALT_LOOK_SECONDS = 0.25
log = structlog.get_logger()

UNKNOWN = (
    "The sandbox was lost while this ran, so it is not known whether it took effect. "
    "Look at the state of the workspace before you repeat it."
)


@dataclass(frozen=True, slots=True)
class Malformed:
    """Why a call cannot be run, told to the model."""

    explanation: str


@dataclass(frozen=True, slots=True)
class Call:
    """A call as asked for, with what it means: a tool and its arguments, or why it means nothing."""

    request: e.ToolRequest
    tool: Tool[Arguments] | None
    arguments: Arguments | Malformed

    @property
    def side_by_side(self) -> bool:
        """Whether it may run beside its neighbours: it only looks."""
        return self.tool is not None and not self.tool.mutates and not isinstance(self.arguments, Malformed)

    @property
    def action(self) -> str:
        """The call in plain words."""
        if self.tool is None or isinstance(self.arguments, Malformed):
            return f"correcting a call of {shortened(self.request.tool)}"
        return self.tool.action(self.arguments)


def understand(request: e.ToolRequest, tools: Mapping[str, Tool[Arguments]]) -> Call:
    """What the request means."""
    tool = tools.get(request.tool)
    if tool is None:
        names = ", ".join(tools)
        return Call(
            request, None, Malformed(f"There is no tool called {request.tool!r}. There are: {names}.")
        )
    try:
        value = json.loads(request.arguments or "{}")
    except ValueError as error:
        return Call(request, tool, _malformed(tool, f"its arguments are not JSON ({error})"))
    if not isinstance(value, dict):
        return Call(request, tool, _malformed(tool, "its arguments must be a JSON object"))
    try:
        return Call(request, tool, tool.arguments.model_validate(value))
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in item['loc']) or 'arguments'}: {item['msg']}"
            for item in error.errors(include_url=False, include_input=False, include_context=False)
        )
        return Call(request, tool, _malformed(tool, problems))


def _malformed(tool: Tool[Arguments], what: str) -> Malformed:
    schema = json.dumps(schema_of(tool).parameters)
    return Malformed(f"{tool.name} was not called: {what}. Its arguments follow this schema: {schema}")


class CallRunner:
    """Runs calls for one turn. `context` makes the surroundings of the call with that id; `halted` says
    whether everything is switched off (None: nothing can be)."""

    def __init__(
        self,
        tools: Mapping[str, Tool[Arguments]],
        turn: TurnLog,
        workspace: Workspace,
        context: Callable[[str], ToolContext],
        halted: Callable[[], Awaitable[bool]] | None = None,
    ) -> None:
        self.tools = tools
        self._turn = turn
        self._workspace = workspace
        self._context = context
        self._halted = halted

    async def run(self, requests: Sequence[e.ToolRequest]) -> Suspended | Finished | None:
        """Run the calls in order until one suspends or finishes the turn; None when all have returned.

        Emits: ToolCalled, ToolReturned, and what the tools bring.
        Raises: StopSeen, TurnOver, StaleEpoch, SandboxFailed, and what making the box ready raised.
        """
        begun = {r.event.call_id for r in self._turn.turn_records if isinstance(r.event, e.ToolCalled)}
        for batch in _batches([understand(request, self.tools) for request in requests]):
            await self._workspace.admit(at_once=not any(self._waits(call) for call in batch))
            if self._halted is not None and await self._halted():
                raise StopSeen(self._turn.session_id)
            fresh = [call for call in batch if call.request.call_id not in begun]
            await self._turn.begin(*(self._called(call) for call in fresh))
            started = time.monotonic()
            outcomes = await asyncio.gather(*(self._outcome(call, call not in fresh) for call in batch))
            seconds = time.monotonic() - started
            returned: list[e.Event] = []
            for call, outcome in zip(batch, outcomes, strict=True):
                if not isinstance(outcome, ToolResult):
                    return await self._ended(call, outcome, seconds)
                returned += [*outcome.events, self._returned(call, outcome, seconds)]
            await self._turn.append(*returned)
        return None

    async def _ended(self, call: Call, outcome: Suspended | Finished, seconds: float) -> Suspended | Finished:
        if isinstance(outcome, Suspended):
            await self._turn.begin(*outcome.events)
            return outcome
        # Recorded together with the turn's end: a worker that dies before that finds the call unanswered and
        # finishes again, instead of asking the model what else there is to do.
        returned = self._returned(call, ToolResult("The turn is finished."), seconds)
        return replace(outcome, events=(returned,))

    async def _outcome(self, call: Call, again: bool) -> ToolOutcome:
        if call.tool is None or isinstance(call.arguments, Malformed):
            assert isinstance(call.arguments, Malformed)
            return ToolResult(call.arguments.explanation, "error")
        context = self._context(call.request.call_id)
        if refusal := context.plans.refusal(call.tool):
            return ToolResult(refusal, "error")
        never_ran = context.commands.never_ran(call.request.call_id)
        if again and call.tool.journaled and self._workspace.is_new and not never_ran:
            return ToolResult(UNKNOWN, "unknown")
        runner = self._workspace.runner
        try:
            return await self._made(call.tool, context, call.arguments)
        except RunnerGone as error:
            log.warning(
                "sandbox lost", session_id=self._turn.session_id, call=call.request.tool, error=str(error)
            )
        except RunnerError as error:
            return ToolResult(str(error), "error")
        await self._while_halted()
        await self._workspace.recover(runner)
        if self._workspace.is_new and call.tool.journaled:
            return ToolResult(UNKNOWN, "unknown")
        await self._workspace.admit(at_once=call.tool.at_once)
        try:
            return await self._made(call.tool, context, call.arguments)
        except RunnerError as error:
            return ToolResult(f"{UNKNOWN} ({error})", "unknown")

    async def _while_halted(self) -> None:
        """Returns when everything goes on. A box that was killed for a halt is not opened again under it: the
        stop that comes with it ends the turn meanwhile, in the name of whoever stopped all."""
        while True:
            if self._halted is None or not await self._halted():
                return
            await asyncio.sleep(HALT_LOOK_SECONDS)

    def _waits(self, call: Call) -> bool:
        """Whether the box has to be ready for it; a call that will be refused waits for nothing."""
        if call.tool is None or isinstance(call.arguments, Malformed) or call.tool.at_once:
            return False
        return not self._context(call.request.call_id).plans.refusal(call.tool)

    async def _made(self, tool: Tool[Arguments], context: ToolContext, arguments: Arguments) -> ToolOutcome:
        if tool.mutates:
            return await tool.run(context, arguments)
        async with self._workspace.reading():
            return await tool.run(context, arguments)

    def _called(self, call: Call) -> e.ToolCalled:
        request = call.request
        return e.ToolCalled(
            turn_id=self._turn.turn_id, call_id=request.call_id, tool=request.tool, action=call.action
        )

    def _returned(self, call: Call, result: ToolResult, seconds: float) -> e.ToolReturned:
        shown = output.inline(result.output)
        return e.ToolReturned(
            turn_id=self._turn.turn_id,
            call_id=call.request.call_id,
            tool=call.request.tool,
            status=result.status,
            output=shown.text,
            duration_seconds=round(seconds, 4),
            total_bytes=max(result.total_bytes, shown.total_bytes),
            spilled_path=result.spilled_path,
        )


def _batches(calls: Sequence[Call]) -> Iterator[list[Call]]:
    """Neighbours that only look together, every other call alone; the order is kept."""
    batch: list[Call] = []
    for call in calls:
        if batch and (not call.side_by_side or len(batch) == MAX_SIDE_BY_SIDE):
            yield batch
            batch = []
        if call.side_by_side:
            batch.append(call)
        else:
            yield [call]
    if batch:
        yield batch
