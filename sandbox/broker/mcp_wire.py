"""What travels between the worker and the broker about tool servers."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from session.people import Declared

ToolState = Literal["accepted", "new", "changed"]


class McpAsked(Declared):
    """For which session."""

    session_id: str


class McpTool(Declared):
    """A tool of a tool server.

    `name` is what the model calls it by. `parameters_json` is the JSON Schema of its arguments. `digest` is
    over all that the model would be told. `state`: only an accepted tool is used; "new" appeared on a server
    that was known without it, "changed" is not what was accepted, which `before` described. `reads_only`: its
    server says so.
    """

    server: str
    tool: str
    name: str
    description: str
    parameters_json: str
    digest: str
    state: ToolState
    before: str = ""
    reads_only: bool = False


class McpTools(Declared):
    """The tools of a session's repository. `problems` are sentences on what is left out."""

    tools: tuple[McpTool, ...]
    problems: tuple[str, ...] = ()


class McpCall(Declared):
    """A call of the tool called `name`. `call_id` is unique in the session: one id is carried out once."""

    session_id: str
    call_id: str = Field(min_length=1, max_length=128)
    name: str = Field(max_length=64)
    arguments_json: str


class McpResult(Declared):
    """What the tool answered, as text. `truncated`: there was more of it."""

    text: str
    is_error: bool = False
    truncated: bool = False


NEEDS_APPROVAL = "mcp_needs_approval"
"""What the broker answers to a call that a person has to allow first."""


def approval_subject(server: str, tool: str, digest: str) -> str:
    """What an approval of a tool is about, in the form in which the broker looks for it."""
    return f"mcp {server}/{tool} {digest}"


def call_subject(server: str, tool: str, digest: str) -> str:
    """The same for calls of a tool by a session that has read what strangers wrote."""
    return f"mcp call {server}/{tool} {digest}"
