"""Plans that people approve first: what waits for them, when they are asked anew, what a no leaves."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bot.platforms.slack.mrkdwn import mrkdwn
from companion_web.markup import agent_html
from deploy.demo.replies import Reply
from sandbox.agent.tool import Arguments, Suspended, Tool, ToolResult
from sandbox.agent.tools import discover_tools
from sandbox.agent.turn_log import TurnLog
from sandbox.broker.mcp_wire import McpTool
from sandbox.mcp_tools import ServerTool
from sandbox.policy import asking
from sandbox.policy.plan_gate import ANOTHER, NOT_YET, STILL, PlanGate
from session import events as e
from session.broker import Broker
from session.catalogue import Approvals
from session.refusals import Changed
from session.view import SessionView
from tests.emulators.model.turns import Held, together, tool
from tests.faults.waiting import until
from tests.sandbox.household import MODEL, Household, household
from tests.sandbox.policy.test_permission import results
from tests.sandbox.test_jobs import FINISH, FIX, PROPOSE, approve

ASK = Approvals(plan="ask", pull_request="auto")
FIND, MEND, TELL = "Find why the total is off", "Mend it", "Tell finance"
WAITING = {"background", "bash", "edit_file", "open_pull_request", "write_file"}


def planned(*texts: str, done: int = 0) -> Reply:
    """The call that shows these steps, the first `done` of them done."""
    states = ["done"] * done + ["in_progress"] + ["pending"] * len(texts)
    return tool(
        "plan", items=[{"text": text, "status": state} for text, state in zip(texts, states, strict=False)]
    )


async def refuse(house: Household, view: SessionView) -> None:
    await house.commands.refuse(view.id, view.open_approvals[0].request.approval_id, house.grace)


async def gate_at(house: Household, session_id: str, **policy: object) -> PlanGate:
    """The gate of the session's turn as the next worker has it, under a policy with these fields changed."""
    lease = await house.leases.acquire(session_id, "test")
    assert lease is not None
    turn = TurnLog(house.log, session_id, lease.epoch)
    await turn.catch_up()
    return PlanGate(turn, house.repository.model_copy(update=policy), 30)


async def test_nothing_is_changed_before_a_plan_was_approved_and_then_it_is() -> None:
    async with household(approvals=ASK) as house:
        writes = tool("write_file", path="NOTES.md", content="x")
        starts = tool("background", action="start", command="touch started")
        looks = (tool("read_file", path="README.md"), tool("glob", pattern="*"))
        talks = (tool("post_update", text="I look."), tool("load_skill", name="fix-failing-test"))
        house.model.script(
            MODEL,
            together(*looks, writes, starts, *talks, FIX, PROPOSE, tool("bash", command="touch NOTES.md")),
            together(planned(FIND, MEND), FIX),
            tool("glob", pattern="*"),
            planned(FIND, MEND, done=1),
            PROPOSE,
            planned(FIND, MEND, done=2),
            FINISH,
        )
        session_id = await house.opened()
        view = await house.run(session_id)
        assert view.state == "awaiting_approval"
        assert not await house.leases.held(session_id)
        assert view.plan == ()
        request = view.open_approvals[0].request
        assert (request.kind, request.title, request.blocking) == ("plan", "A plan of 2 steps", True)
        assert request.detail == f"1. {FIND}\n2. {MEND}"
        told = await results(house, session_id)
        assert {each.tool for each in told if each.status == "ok"} == {
            "read_file", "glob", "post_update", "load_skill",
        }  # fmt: skip
        assert {each.tool for each in told if each.output == NOT_YET} == WAITING
        assert "people approve your plan" in house.model.requests_to(MODEL)[0].said_by("system")[0].text
        await approve(house, session_id)
        view = await house.run(session_id)
        assert view.state == "idle"
        assert [item.state for item in view.approvals] == ["used"]
        assert [item.status for item in view.plan] == ["done", "done"]
        assert view.pull_request is not None
        told = (await results(house, session_id))[len(told) :]
        assert [(each.tool, each.status) for each in told[:2]] == [("plan", "ok"), ("edit_file", "ok")]
        listed = told[2].output.split()
        assert "README.md" in listed
        assert not {"NOTES.md", "started"} & set(listed)


async def test_other_steps_ask_anew_and_a_no_leaves_what_was_approved() -> None:
    async with household(verify=(), approvals=ASK) as house:
        house.model.script(
            MODEL,
            planned(FIND, MEND),
            planned("Find the cause", MEND, TELL),
            FIX,
            planned(FIND, MEND),
            FINISH,
        )
        session_id = await house.opened()
        await house.run(session_id)
        await approve(house, session_id)
        view = await house.run(session_id)
        assert [item.state for item in view.approvals] == ["used", "open"]
        assert [item.text for item in view.plan] == [FIND, MEND]
        request = view.open_approvals[0].request
        assert request.title == "The plan changes: 3 steps now"
        assert request.detail == (
            f"1. **New:** Find the cause\n2. {MEND}\n3. **New:** {TELL}\n\nNo longer in it: {FIND}."
        )
        await refuse(house, view)
        view = await house.run(session_id)
        assert view.state == "idle"
        assert [item.state for item in view.approvals] == ["used", "refused"]
        assert [item.text for item in view.plan] == [FIND, MEND]
        _, refused, fixed, same = (await results(house, session_id))[:4]
        assert (refused.status, refused.output) == (
            "error", f"The plan is not approved: Grace said no. {STILL}",
        )  # fmt: skip
        assert (fixed.status, same.status) == ("ok", "ok")


async def test_a_no_and_the_words_that_go_with_it_reach_the_agent() -> None:
    async with household(verify=(), approvals=ASK) as house:
        house.model.script(MODEL, planned(TELL), FIX, planned(FIND), planned(MEND), FIX, FINISH)
        session_id = await house.opened()
        await refuse(house, await house.run(session_id))
        await house.prompt(session_id, "Finance must not hear of it", author=house.grace)
        view = await house.run(session_id)
        assert [item.state for item in view.approvals] == ["refused", "open"]
        first, held = await results(house, session_id)
        assert first.output == f"The plan is not approved: Grace said no. {ANOTHER}"
        assert held.output == NOT_YET
        heard = [message.text for message in house.model.requests_to(MODEL)[1].said_by("user")]
        assert "Grace writes:\nFinance must not hear of it" in heard[-1]
        # Words instead of a yes: the request falls, and they come with the next look at the model.
        await house.prompt(session_id, "Just mend it", author=house.ada)
        view = await house.run(session_id)
        assert [item.state for item in view.approvals] == ["refused", "voided", "open"]
        voided = (await results(house, session_id))[-1]
        assert "the request no longer stands (Ada asked for changes)" in voided.output
        await approve(house, session_id)
        assert (await house.run(session_id)).state == "idle"
        assert (await results(house, session_id))[-2].status == "ok"


async def test_a_yes_outlives_worker_and_box_and_not_its_turn() -> None:
    async with household(verify=(), approvals=ASK) as house:
        held = Held(FIX)
        house.model.script(MODEL, planned(MEND), held)
        session_id = await house.opened()
        await house.run(session_id)
        await approve(house, session_id)
        running = asyncio.create_task(house.run(session_id))
        await asyncio.wait_for(held.reached.wait(), 60)
        running.cancel()
        await asyncio.wait([running])
        held.release()
        view = await house.log.view(session_id)
        assert view.sandbox is not None
        await house.environment.remove(view.sandbox.box)
        house.model.script(MODEL, FIX, FINISH)
        view = await house.run(session_id)
        assert (view.state, len(view.approvals)) == ("idle", 1)
        assert view.sandbox is not None
        assert view.sandbox.replaced
        assert [each.status for each in await results(house, session_id)] == ["ok", "ok", "ok"]
        house.model.script(MODEL, tool("bash", command="true"), planned(MEND))
        await house.prompt(session_id, "And once more")
        view = await house.run(session_id)
        assert (await results(house, session_id))[-1].output == NOT_YET
        assert [item.state for item in view.approvals] == ["used", "open"]


async def test_a_request_runs_out_like_every_other() -> None:
    async with household(verify=(), approvals=ASK, settings={"APPROVAL_MINUTES": "0.001"}) as house:
        house.model.script(MODEL, planned(MEND), FIX, FINISH)
        session_id = await house.opened()
        request = (await house.run(session_id)).open_approvals[0].request

        async def ran_out() -> bool:
            return await house.log.clock() >= request.expires_at

        await until(ran_out, "the time of the approval is over")
        with pytest.raises(Changed, match="its time ran out"):
            await approve(house, session_id)
        view = await house.run(session_id)
        assert (view.state, view.plan) == ("idle", ())
        late, held = (await results(house, session_id))[:2]
        assert "the request no longer stands (its time ran out)" in late.output
        assert held.output == NOT_YET


async def test_another_policy_or_wording_makes_a_yes_void() -> None:
    async with household(verify=(), approvals=ASK) as house:
        house.model.script(MODEL, planned(FIND, MEND))
        session_id = await house.opened()
        request = (await house.run(session_id)).open_approvals[0].request
        assert request.call_id is not None
        gate = await gate_at(house, session_id)
        for steps in ((FIND, MEND), (MEND, FIND), (FIND,)):
            assert await gate.instead(request.call_id, steps) == Suspended()
        await approve(house, session_id)
        await gate.turn.catch_up()
        refused = await gate.instead(request.call_id, (MEND, FIND))
        assert isinstance(refused, ToolResult)
        assert "what was approved has changed since" in refused.output
        assert gate.turn.view.approvals[0].state == "voided"


async def test_a_plan_in_force_falls_with_the_policy() -> None:
    async with household(verify=(), approvals=ASK) as house:
        house.model.script(MODEL, planned(FIND, MEND), tool("ask_user", question="Round up?"))
        session_id = await house.opened()
        await house.run(session_id)
        await approve(house, session_id)
        assert (await house.run(session_id)).state == "awaiting_answer"
        gate = await gate_at(house, session_id)
        edit = discover_tools()["edit_file"]
        assert gate.refusal(edit) == ""
        assert await gate.instead("c9", (f"{FIND} ", MEND)) is None
        changed = PlanGate(gate.turn, house.repository.model_copy(update={"public": True}), 30)
        assert changed.refusal(edit) == NOT_YET
        asked = await changed.instead("c9", (FIND, MEND))
        assert isinstance(asked, Suspended)
        [request] = asked.events
        assert isinstance(request, e.ApprovalRequested)
        assert request.title == "A plan of 2 steps"
        off = PlanGate(gate.turn, house.repository.model_copy(update={"approvals": Approvals()}), 30)
        assert off.refusal(edit) == ""
        assert await off.instead("c9", (TELL,)) is None


def server_tool(broker: Broker, *, reads_only: bool) -> Tool[Arguments]:
    listed = McpTool(
        server="tracker",
        tool="finish",
        name="mcp__tracker__finish",
        description="Finish a ticket.",
        parameters_json="{}",
        digest="d",
        state="accepted",
        reads_only=reads_only,
    )
    return ServerTool(broker, "s1", listed)


async def test_which_tools_wait(tmp_path: Path) -> None:
    async with household(verify=(), approvals=ASK) as house:
        gate = await gate_at(house, await house.opened())
        assert {name for name, each in discover_tools().items() if gate.refusal(each)} == WAITING
        async with Broker(tmp_path / "broker.sock") as broker:
            assert gate.refusal(server_tool(broker, reads_only=False)) == NOT_YET
            assert gate.refusal(server_tool(broker, reads_only=True)) == ""


@pytest.mark.parametrize(
    ("step", "shown"),
    [
        ("Mend the total, then test it (twice)!", "Mend the total, then test it (twice)!"),
        ("Mend\n\n  the   total", "Mend the total"),
        ("[x]: https://example.com", "`[x]: https://example.com`"),
        ("~drop the ledger~", "`~drop the ledger~`"),
        ("- drop it", "`- drop it`"),
        ("1. drop it", "`1. drop it`"),
        ("mend total_of `it`", "`mend total_of 'it'`"),
        ("mend it\u202e", "`mend it\\u202e`"),
        ("&lt;b> is wrong", "`&lt;b> is wrong`"),
    ],
)
def test_a_step_is_read_as_it_is_wherever_it_is_shown(step: str, shown: str) -> None:
    assert asking.words(step) == shown
    bare = shown.strip("`").replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    assert bare in agent_html(f"1. {shown}\n2. next").replace("&quot;", chr(34))
    assert bare in mrkdwn(f"1. {shown}\n2. next")
