"""What an agent's tool is: the small Protocol that every file in `sandbox/agent/tools/` follows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Protocol, TypeVar, runtime_checkable

from pydantic import BaseModel, ConfigDict

from sandbox.agent.json_value import JsonObject
from sandbox.agent.model import ToolSchema
from session.events import Event, ToolStatus

if TYPE_CHECKING:
    from sandbox.agent.tool_context import ToolContext


class Arguments(BaseModel):
    """Base of every tool's arguments; a field the tool does not have is an error told to the model."""

    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True, slots=True)
class ToolResult:
    """A call that ended. `events` are recorded together with its result, so both are there or neither.

    `total_bytes` and `spilled_path` tell of output that was cut: its full size, and the file in the box that
    holds all of it.
    """

    output: str
    status: ToolStatus = "ok"
    events: tuple[Event, ...] = ()
    total_bytes: int = 0
    spilled_path: str | None = None


@dataclass(frozen=True, slots=True)
class Suspended:
    """A call that waits for a person: `events` are recorded, the worker is given back, and the call runs
    again with the same id once there is an answer."""

    events: tuple[Event, ...] = ()


@dataclass(frozen=True, slots=True)
class Finished:
    """A call that ends the turn; `summary` is the answer people read. `events` are recorded with the end."""

    summary: str
    evidence: str = ""
    events: tuple[Event, ...] = ()


ToolOutcome = ToolResult | Suspended | Finished

A_contra = TypeVar("A_contra", bound=Arguments, contravariant=True)


class Tool(Protocol[A_contra]):
    """Something the agent can do.

    A call waits until the box is ready for work, with its repository up to date and its set-up done, unless
    `at_once` says that it reads files as they are, or needs nothing of the box.
    `mutates` is False for calls that only look: those of one message run side by side. `journaled` is True
    when the call's effect lives in the box and is remembered by its runner, so that a lost box leaves its end
    unknown.
    """

    name: str
    description: str
    arguments: type[Arguments]
    mutates: bool
    journaled: bool
    at_once: bool = False

    def action(self, arguments: A_contra) -> str:
        """The call in plain words for the card: "reading billing/invoice.py"."""
        ...

    async def run(self, context: ToolContext, arguments: A_contra) -> ToolOutcome:
        """Does it. A call that was begun before and did not return is run again with the same context."""
        ...


@runtime_checkable
class WithSchema(Protocol):
    """A tool whose arguments are described by a schema of its own, instead of by their model."""

    def schema(self) -> ToolSchema:
        """The tool as the model sees it."""
        ...


@runtime_checkable
class OfServer(Protocol):
    """A tool that a tool server carries out."""

    @property
    def reads_only(self) -> bool:
        """Whether its server says that it only reads."""
        ...


def schema_of(tool: Tool[Arguments]) -> ToolSchema:
    """The tool as the model sees it."""
    if isinstance(tool, WithSchema):
        return tool.schema()
    return ToolSchema(tool.name, tool.description, _parameters(tool.arguments))


@cache
def _parameters(arguments: type[Arguments]) -> JsonObject:
    """As a schema, made once: each request to the model shows all tools. Nobody changes it."""
    parameters = arguments.model_json_schema()
    parameters.pop("title", None)
    parameters.pop("description", None)
    parameters.setdefault("properties", {})
    for field in parameters["properties"].values():
        field.pop("title", None)
    return parameters
