"""The tools of tool servers as the agent's tools."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from sandbox.agent.calls import understand
from sandbox.agent.tool import Arguments, Tool, ToolResult, schema_of
from sandbox.broker.mcp_listing import model_name, visible
from sandbox.broker.mcp_wire import McpTool
from sandbox.mcp_tools import AnyArguments, ServerTool, mcp_tools
from session import events as e
from session.broker import Broker
from tests.emulators.mcp.emulator import Called, McpEmulator
from tests.sandbox.mcp.stage import Stage, staged, tracker


async def called(stage: Stage, session_id: str, name: str, arguments: str = "{}") -> ToolResult:
    """What the tool of that name gives, called with what a model wrote."""
    tools = await mcp_tools(stage.broker, session_id)
    return await answered(tools, name, arguments)


async def answered(tools: Mapping[str, Tool[Arguments]], name: str, arguments: str = "{}") -> ToolResult:
    """The same for tools that were listed before."""
    call = understand(e.ToolRequest(call_id="c1", tool=name, arguments=arguments), tools)
    assert isinstance(call.tool, ServerTool)
    assert isinstance(call.arguments, Arguments)
    return await call.tool.answer("c1", call.arguments)


async def test_the_model_sees_the_servers_own_schema_and_its_arguments_go_through() -> None:
    server = McpEmulator()
    server.offer("close", "Close a ticket.", ticket="Its number.")
    server.answers["close"] = "closed"
    async with server.serving() as url, staged(tracker(url)) as stage:
        session_id = await stage.session()
        tool = (await mcp_tools(stage.broker, session_id))["mcp__tracker__close"]
        schema = schema_of(tool)
        assert (schema.name, schema.description) == ("mcp__tracker__close", "Close a ticket.")
        assert schema.parameters["properties"] == {"ticket": {"type": "string", "description": "Its number."}}
        assert (tool.mutates, tool.journaled) == (True, False)
        outcome = await called(
            stage, session_id, tool.name, '{"ticket": "7", "name": "x", "session_id": "y"}'
        )
        assert outcome == ToolResult("closed")
        assert server.calls == [Called("close", {"ticket": "7", "name": "x", "session_id": "y"})]


async def test_an_error_is_a_sentence_for_the_model() -> None:
    server = McpEmulator()
    server.offer("close", "Close a ticket.")
    async with server.serving() as url, staged(tracker(url)) as stage:
        session_id = await stage.session()
        tools = await mcp_tools(stage.broker, session_id)
        server.status = 503
        outcome = await answered(tools, "mcp__tracker__close")
        assert outcome.status == "error"
        assert outcome.output == "The tool server tracker cannot be used now: it answered 503."


async def test_a_broker_that_is_away_is_a_sentence_too(tmp_path: Path) -> None:
    listed = McpTool(
        server="tracker",
        tool="close",
        name="mcp__tracker__close",
        description="Close a ticket.",
        parameters_json="{}",
        digest="d",
        state="accepted",
    )
    async with Broker(tmp_path / "broker.sock") as broker:
        outcome = await ServerTool(broker, "s1", listed).answer("c1", AnyArguments())
    assert outcome.status == "error"
    assert "does not answer" in outcome.output


@given(st.text("abcXYZ019._-", min_size=1, max_size=128), st.text("abcXYZ019._-", min_size=1, max_size=128))
def test_names_for_the_model_fit_and_differ(one: str, other: str) -> None:
    names = [model_name("tracker", each) for each in (one, other)]
    assert all(len(name) <= 64 and name.replace("_", "").replace("-", "").isalnum() for name in names)
    assert all(name.startswith("mcp__tracker__") for name in names)
    assert (names[0] == names[1]) == (one == other)


@given(st.text())
def test_nothing_invisible_is_left(text: str) -> None:
    assert all(letter == "\n" or letter.isprintable() or letter.isspace() for letter in visible(text))
