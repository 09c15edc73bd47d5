"""Once a session has read what strangers wrote, a tool that may write is called after a person's yes only."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest

from sandbox.broker.mcp_wire import NEEDS_APPROVAL, approval_subject, call_subject
from session import events as e
from session.broker import BrokerRefused
from session.policy import policy_version
from session.view import SessionView
from tests.emulators.mcp.emulator import McpEmulator
from tests.emulators.model.turns import tool
from tests.sandbox.household import MODEL, Household, household
from tests.sandbox.mcp.stage import ADA, Stage, staged, tracker
from tests.sandbox.policy.test_rule_of_two import REPORT
from tests.sandbox.test_jobs import FINISH, approve

CLOSE = "mcp__tracker__close"
LOOK = "mcp__tracker__look"


def emulator(*, token: bool = True) -> McpEmulator:
    """A server with a tool that only reads, and one that does not say so."""
    server = McpEmulator() if token else McpEmulator(token="")
    server.offer("look", "Look at a ticket.", reads_only=True)
    server.offer("close", "Close a ticket.", ticket="Its number.")
    return server


def made(server: McpEmulator) -> list[str]:
    """The tools that were called."""
    return [call.tool for call in server.calls]


async def refused(stage: Stage, session_id: str) -> BrokerRefused:
    """What the broker says instead of calling the tool that may write."""
    with pytest.raises(BrokerRefused) as error:
        await stage.call(session_id, CLOSE)
    assert error.value.kind == NEEDS_APPROVAL
    return error.value


async def request(stage: Stage, session_id: str, **changes: object) -> e.ApprovalRequested:
    """What a worker would ask before calling the tool that may write, with these changes."""
    digest = (await stage.tool(session_id, "close")).digest
    asked = e.ApprovalRequested(
        approval_id=uuid4().hex,
        kind="command",
        title="?",
        detail="",
        digest=digest,
        policy_version=policy_version(stage.repository),
        expires_at=await stage.log.clock() + timedelta(minutes=30),
        subject=call_subject("tracker", "close", digest),
    )
    return asked.model_copy(update=changes)


def given(asked: e.ApprovalRequested) -> e.ApprovalGiven:
    """Ada's yes."""
    return e.ApprovalGiven(approval_id=asked.approval_id, digest=asked.digest, by=ADA)


async def test_after_strangers_words_only_a_tool_that_reads_is_called() -> None:
    server = emulator()
    async with server.serving() as url, staged(tracker(url)) as stage:
        session_id = await stage.session()
        await stage.call(session_id, CLOSE)
        assert (await stage.log.view(session_id)).untrusted == ("tracker",)
        error = await refused(stage, session_id)
        assert "tracker/close may write somewhere: somebody has to allow it with ✅" in str(error)
        assert error.detail == {"digest": (await stage.tool(session_id, "close")).digest}
        await stage.call(session_id, LOOK)
        assert made(server) == ["close", "look"]
        rows = [row.entry for row in await stage.audited() if row.entry.action == "mcp.consent"]
        assert [(row.target, row.outcome) for row in rows] == [(CLOSE, "refused")]


async def test_a_public_repository_asks_nothing() -> None:
    server = emulator()
    async with server.serving() as url, staged(tracker(url), public=True) as stage:
        session_id = await stage.session()
        await stage.record(session_id, e.UntrustedRead(source="a page"))
        await stage.call(session_id, CLOSE)
        assert made(server) == ["close"]


@pytest.mark.parametrize("hint", [False, None])
async def test_a_tool_that_no_longer_says_that_it_reads_is_another_tool(hint: bool | None) -> None:
    server = emulator()
    async with server.serving() as url, staged(tracker(url)) as stage:
        session_id = await stage.session()
        assert [(await stage.tool(session_id, name)).reads_only for name in ("look", "close")] == [
            True,
            False,
        ]
        server.offer("look", "Look at a ticket.", reads_only=hint)
        assert (await stage.tool(session_id, "look")).state == "changed"
        server.offer("look", "Look at a ticket.", reads_only=True)
        server.offer("close", "Close a ticket.", reads_only=True, ticket="Its number.")
        assert [(await stage.tool(session_id, name)).state for name in ("look", "close")] == [
            "accepted",
            "changed",
        ]


async def test_a_yes_holds_for_the_tool_and_the_session_also_after_its_time() -> None:
    server = emulator()
    server.offer("delete", "Delete a ticket.")
    async with server.serving() as url, staged(tracker(url)) as stage:
        session_id, other = await stage.session(), await stage.session()
        for each in (session_id, other):
            await stage.record(each, e.UntrustedRead(source="a page"))
        asked = await request(stage, session_id)
        await stage.record(session_id, asked, given(asked))
        await stage.call(session_id, CLOSE)
        assert (await stage.log.view(session_id)).approvals[0].state == "used"
        await stage.call(session_id, CLOSE)
        await refused(stage, other)
        with pytest.raises(BrokerRefused, match="tracker/delete may write"):
            await stage.call(session_id, "mcp__tracker__delete")
        late = await request(stage, other, expires_at=await stage.log.clock() - timedelta(hours=1))
        await stage.record(other, late, given(late), e.ApprovalUsed(approval_id=late.approval_id))
        await stage.call(other, CLOSE)
        assert made(server) == ["close"] * 3
        rows = [row.entry for row in await stage.audited() if row.entry.action == "mcp.consent"]
        assert [row.detail["approved_by"] for row in rows if row.outcome == "allowed"] == ["Ada (p_ada)"] * 3


@pytest.mark.parametrize(
    "what",
    ["open", "refused", "withdrawn", "voided", "expired", "digest", "policy", "kind", "subject", "excluded",
     "no later"],
)  # fmt: skip
async def test_what_is_no_standing_yes_to_exactly_this_lets_nothing_out(what: str) -> None:
    server = emulator()
    async with server.serving() as url, staged(tracker(url)) as stage:
        session_id = await stage.session()
        await stage.record(session_id, e.UntrustedRead(source="a page"))
        tool_digest = (await stage.tool(session_id, "close")).digest
        changes: dict[str, dict[str, object]] = {
            "expired": {"expires_at": await stage.log.clock() - timedelta(minutes=1)},
            "digest": {"digest": "that of a shell command with the same words"},
            "policy": {"policy_version": "other"},
            "kind": {"kind": "egress"},
            "subject": {"subject": approval_subject("tracker", "close", tool_digest)},
            "excluded": {"excluded": (ADA.id,)},
        }
        asked = await request(stage, session_id, **changes.get(what, {}))
        by = {"approval_id": asked.approval_id, "by": ADA}
        later = await request(stage, session_id)
        answers: dict[str, tuple[e.Event, ...]] = {
            "open": (),
            "refused": (e.ApprovalRefused.model_validate(by),),
            "withdrawn": (given(asked), e.ApprovalWithdrawn.model_validate(by)),
            "voided": (given(asked), e.ApprovalVoided(approval_id=asked.approval_id, reason="over")),
            "no later": (given(asked), later, e.ApprovalRefused(approval_id=later.approval_id, by=ADA)),
        }
        await stage.record(session_id, asked, *answers.get(what, (given(asked),)))
        await refused(stage, session_id)
        assert made(server) == []


async def test_a_call_that_was_made_before_is_remembered_and_not_asked_about() -> None:
    server = emulator()
    async with server.serving() as url, staged(tracker(url)) as stage:
        session_id = await stage.session()
        first = await stage.call(session_id, CLOSE, call_id="c1")
        assert await stage.call(session_id, CLOSE, call_id="c1") == first
        assert made(server) == ["close"]


# Through a whole turn


def uses(url: str) -> dict[str, object]:
    """A repository's policy with that tool server, which asks for no credential."""
    return {"mcp": [{"name": "tracker", "url": url}]}


async def told(house: Household, session_id: str) -> list[tuple[str, str]]:
    """What each call of a tool server gave the agent."""
    events = await house.events(session_id)
    returned = [event for event in events if isinstance(event, e.ToolReturned)]
    return [(event.status, event.output) for event in returned if event.tool.startswith("mcp__")]


async def asked_for(house: Household, server: McpEmulator, ticket: str) -> SessionView:
    """A session with a stranger's file whose agent wants to close that ticket, having looked at it."""
    house.model.script(MODEL, tool(LOOK), tool(CLOSE, ticket=ticket), tool(CLOSE, ticket="8"), FINISH)
    view = await house.run(await house.opened(attachments=(REPORT,)))
    assert (view.state, made(server)) == ("awaiting_approval", ["look"])
    return view


async def test_people_are_asked_with_the_arguments_and_the_reason_and_a_yes_goes_on() -> None:
    server = emulator(token=False)
    async with server.serving() as url, household(verify=(), policy=uses(url)) as house:
        view = await asked_for(house, server, "7\u202e```")
        asked = view.open_approvals[0].request
        assert asked.title == "Let the agent use tracker/close?"
        assert asked.subject == call_subject("tracker", "close", asked.digest)
        assert '````\n{\n  "ticket": "7\\u202e```"\n}\n````' in asked.detail
        assert "strangers can write (a file that came with the request, tracker)" in asked.detail
        assert (asked.kind, asked.blocking) == ("command", True)
        await approve(house, view.id)
        view = await house.run(view.id)
        assert (view.state, [item.state for item in view.approvals]) == ("idle", ["used"])
        assert made(server) == ["look", "close", "close"]
        assert await told(house, view.id) == [("ok", "done")] * 3


async def test_a_no_reaches_the_agent_and_holds_for_the_turn() -> None:
    server = emulator(token=False)
    async with server.serving() as url, household(verify=(), policy=uses(url)) as house:
        view = await asked_for(house, server, "x" * 5000)
        asked = view.open_approvals[0].request
        assert "characters more that are not shown" in asked.detail
        assert asked.detail.count("x") < 2100
        await house.commands.refuse(view.id, asked.approval_id, house.grace)
        view = await house.run(view.id)
        assert (view.state, made(server)) == ("idle", ["look"])
        looked, no, again = await told(house, view.id)
        assert (looked[0], no[0], again[0]) == ("ok", "error", "error")
        assert no[1].startswith("Not called: Grace said no.")
        assert again[1].startswith("Not called: Grace said no to tracker/close before.")
        house.model.script(MODEL, tool(CLOSE, ticket="7"))
        await house.prompt(view.id, "Do close it")
        assert (await house.run(view.id)).state == "awaiting_approval"
