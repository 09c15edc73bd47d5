"""What holds for every tool, and what each does in a real box."""

from __future__ import annotations

import json

import pytest

from sandbox.agent.calls import Malformed, understand
from sandbox.agent.tool import schema_of
from sandbox.agent.tools import discover_tools
from session import events as e
from tests.emulators.model.turns import together, tool
from tests.sandbox.household import MODEL, household
from tests.sandbox.test_jobs import FINISH

TOOLS = discover_tools()
EXAMPLES: dict[str, dict[str, object]] = {
    "ask_user": {"question": "Which?", "options": ["a", "b"]},
    "background": {"action": "start", "command": "sleep 1"},
    "bash": {"command": "true"},
    "edit_file": {"path": "a", "old_string": "x", "new_string": "y"},
    "finish": {"summary": "Done."},
    "glob": {"pattern": "**/*.py"},
    "grep": {"pattern": "def "},
    "load_skill": {"name": "fix-failing-test"},
    "open_pull_request": {"title": "Repair it", "body": "It was broken."},
    "plan": {"items": [{"text": "Look", "status": "in_progress"}]},
    "post_update": {"text": "Found it."},
    "read_file": {"path": "a"},
    "write_file": {"path": "a", "content": ""},
}
LOOKING = {"glob", "grep", "read_file"}
AT_ONCE = {*LOOKING, "ask_user", "plan", "post_update"}


def test_every_tool_has_an_example_here() -> None:
    assert list(TOOLS) == sorted(EXAMPLES)


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_the_contract_of_a_tool(name: str) -> None:
    each = TOOLS[name]
    schema = schema_of(each)
    assert schema.name == name
    assert schema.description.endswith(".")
    parameters = json.loads(json.dumps(schema.parameters))
    assert parameters["type"] == "object"
    assert parameters["additionalProperties"] is False
    described = [field for field in parameters["properties"].values() if "description" in field]
    assert len(described) == len(parameters["properties"])
    call = understand(e.ToolRequest(call_id="c", tool=name, arguments=json.dumps(EXAMPLES[name])), TOOLS)
    assert not isinstance(call.arguments, Malformed)
    assert call.action
    assert "\n" not in call.action
    assert len(call.action) < 120
    assert each.mutates == (name not in LOOKING)
    assert each.at_once == (name in AT_ONCE)
    extra = json.dumps({**EXAMPLES[name], "surprise": 1})
    odd = understand(e.ToolRequest(call_id="c", tool=name, arguments=extra), TOOLS)
    assert isinstance(odd.arguments, Malformed)
    assert "surprise" in odd.arguments.explanation
    assert '"properties"' in odd.arguments.explanation


def test_the_order_is_fixed_for_the_prompt_cache() -> None:
    assert list(discover_tools()) == list(discover_tools()) == sorted(TOOLS)


async def test_what_the_tools_do() -> None:
    files: dict[str, str | bytes | None] = {
        "AGENTS.md": "Be brief.\n",
        "billing/AGENTS.md": "Totals are integers.\n",
        ".agents/skills/deploy/SKILL.md": "---\nname: deploy\ndescription: How to deploy.\n---\nRun "
        "deploy.sh.\n",
        ".agents/skills/deploy/deploy.sh": "echo deployed\n",
    }
    async with household(verify=(), files=files) as house:
        house.model.script(
            MODEL,
            together(
                tool("read_file", path="billing/invoice.py", limit=1), tool("grep", pattern="def total")
            ),
            tool("read_file", path="billing/invoice.py"),
            tool("plan", items=[{"text": "Look around", "status": "in_progress"}]),
            tool("post_update", text="The total is off."),
            tool("write_file", path="new/file.txt", content="one\n"),
            tool("edit_file", path="new/file.txt", old_string="three", new_string="two"),
            tool("edit_file", path="new/file.txt", old_string="one", new_string="two"),
            tool("bash", command="cat new/file.txt; printf '\\033[31mred\\033[0m\\n'; exit 3"),
            tool("glob", pattern="new/*"),
            tool("load_skill", name="deploy"),
            tool("bash", command="sh .git/bellhop/skills/deploy/deploy.sh; git log -1 --format=%an"),
            tool("load_skill", name="nothing"),
            tool("bash", command="rm -r new"),
            FINISH,
        )
        session_id = await house.opened()
        view = await house.run(session_id)
        assert view.state == "idle"
        events = await house.events(session_id)
        shown = [event for event in events if isinstance(event, e.ToolReturned)]
        assert shown[0].output.startswith(
            "    1  def total(lines):\n[lines up to 1 of 2; read on with offset 2]"
        )
        assert "Totals are integers." in shown[0].output
        assert shown[1].output == "billing/invoice.py:1:def total(lines):"
        assert "Totals are integers." not in shown[2].output
        assert [(event.tool, event.status) for event in shown[5:9]] == [
            ("write_file", "ok"),
            ("edit_file", "error"),
            ("edit_file", "ok"),
            ("bash", "error"),
        ]
        assert shown[8].output == "two\nred\n[exit code 3]"
        assert shown[9].output == "new/file.txt"
        assert shown[10].output.startswith("Run deploy.sh.\n")
        assert shown[11].output.startswith("deployed\n")
        assert shown[12].status == "error"
        assert "deploy" in shown[12].output
        assert [item.text for item in view.plan] == ["Look around"]
        assert e.UpdatePosted(text="The total is off.") in events
        system = house.model.requests_to(MODEL)[0].said_by("system")[0].text
        assert "Be brief." in system
        assert "- deploy: How to deploy." in system
        assert "- fix-failing-test:" in system
        assert {r.said_by("system")[0].text for r in house.model.requests_to(MODEL)} == {system}


async def test_a_background_process_goes_on_between_calls() -> None:
    async with household(verify=()) as house:
        started = tool("background", action="start", command="echo up; touch up; sleep 300")
        house.model.script(MODEL, started)
        session_id = await house.opened()
        house.model.script(MODEL, tool("ask_user", question="Go on?"))
        view = await house.run(session_id)
        returned = [event for event in await house.events(session_id) if isinstance(event, e.ToolReturned)]
        job_id = returned[0].output.split()[3].rstrip(".")
        assert view.question is not None
        await house.commands.answer_question(session_id, view.question.question_id, "yes", house.ada)
        house.model.script(
            MODEL,
            tool("bash", command="until [ -e up ]; do sleep 0.02; done"),
            tool("background", action="output", id=job_id),
            tool("background", action="stop", id=job_id),
            FINISH,
        )
        await house.run(session_id)
        returned = [event for event in await house.events(session_id) if isinstance(event, e.ToolReturned)]
        outputs = [event.output for event in returned if event.tool == "background"]
        assert outputs[1].startswith("up")
        assert "It runs since" in outputs[1]
        assert outputs[2].startswith("Stopped.")
