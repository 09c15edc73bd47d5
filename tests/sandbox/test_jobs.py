"""A turn from prompt to pull request, on real git, a real record and a real box."""

from __future__ import annotations

import asyncio

import pytest

from session import events as e
from session.view import SessionView
from tests.emulators.model.turns import Held, say, together, tool
from tests.sandbox.household import MODEL, Household, household
from tests.sandbox.workbench import git

FIX = tool("edit_file", path="billing/invoice.py", old_string="sum(lines) + 1", new_string="sum(lines)")
PROPOSE = tool("open_pull_request", title="Sum invoice lines rightly", body="It added one.")
FINISH = tool("finish", summary="The total is right now.")
MOMENT = "0.000001"
"""So few minutes stands what is asked that it is over before anybody looks."""


async def approve(house: Household, session_id: str) -> None:
    view = await house.log.view(session_id)
    request = view.open_approvals[0].request
    await house.commands.approve(session_id, request.approval_id, house.ada)


async def given_in_time(house: Household, view: SessionView) -> None:
    """Grace's yes to what is asked is on record, as of the moment for which it stood."""
    (asked,) = view.open_approvals
    approval_id, digest = asked.request.approval_id, asked.request.digest
    yes = e.ApprovalGiven(approval_id=approval_id, digest=digest, by=house.grace)
    await house.log.record(view.id, lambda _: [yes])


async def test_from_prompt_to_pull_request() -> None:
    async with household() as house:
        house.model.script(MODEL, tool("read_file", path="billing/invoice.py"), FIX, PROPOSE, FINISH)
        session_id = await house.opened()
        view = await house.run(session_id)
        assert view.state == "awaiting_approval"
        request = view.open_approvals[0].request
        assert (request.kind, request.blocking) == ("pull_request", True)
        assert "Checks passed." in request.detail
        assert not await house.leases.held(session_id)
        await approve(house, session_id)
        view = await house.run(session_id)
        assert view.state == "idle"
        assert view.pull_request is not None
        assert view.pull_request.state == "open"
        assert view.pull_request.branch == f"bellhop/{session_id}/sum-invoice-lines-rightly"
        assert view.answer == "The total is right now."
        kinds = [type(event).__name__ for event in await house.events(session_id)]
        order = ["ChangesRecorded", "VerificationFinished", "ApprovalRequested", "ApprovalUsed"]
        order += ["BranchPublished", "PullRequestOpened", "TurnFinished"]
        assert [kind for kind in kinds if kind in order] == order
        assert isinstance((await house.events(session_id))[-1], e.TurnFinished)
        assert git(house.home / "billing.git", "rev-parse", view.pull_request.branch) == request.head_sha


async def test_what_was_noted_as_away_is_taken_back_when_it_serves_again() -> None:
    async with household() as house:
        house.model.script(MODEL, FINISH)
        session_id = await house.opened()
        noted = [e.PartDegraded(part=part, detail="away") for part in ("sandbox", "job queue", "forge")]
        await house.log.record(session_id, lambda _: noted)
        view = await house.run(session_id)
        assert view.state == "idle"
        assert [item.part for item in view.degraded] == ["forge"]


async def test_looking_calls_run_together_and_results_keep_their_order() -> None:
    async with household() as house:
        looks = [tool("read_file", path=path) for path in ("README.md", "billing/invoice.py", "nothing")]
        house.model.script(MODEL, together(*looks), FINISH)
        session_id = await house.opened()
        await house.run(session_id)
        events = await house.events(session_id)
        called = [event.call_id for event in events if isinstance(event, e.ToolCalled)][:3]
        returned = [event for event in events if isinstance(event, e.ToolReturned)][:3]
        assert [event.call_id for event in returned] == called
        assert [event.status for event in returned] == ["ok", "ok", "error"]
        first_return = events.index(returned[0])
        assert sum(isinstance(event, e.ToolCalled) for event in events[:first_return]) == 3


async def test_a_question_waits_without_a_worker_and_its_answer_goes_on() -> None:
    async with household() as house:
        house.model.script(
            MODEL, tool("ask_user", question="Round up or down?", options=["up", "down"]), FINISH
        )
        session_id = await house.opened()
        view = await house.run(session_id)
        assert view.state == "awaiting_answer"
        assert view.question is not None
        assert view.question.options == ("up", "down")
        assert not await house.leases.held(session_id)
        await house.commands.answer_question(session_id, view.question.question_id, "down", house.grace)
        assert (await house.run(session_id)).state == "idle"
        answers = [event for event in await house.events(session_id) if isinstance(event, e.ToolReturned)]
        assert answers[0].output == "Grace answers: down"
        kinds = [type(event) for event in await house.events(session_id)]
        assert kinds.count(e.QuestionAsked) == 1


async def test_follow_ups_wait_in_line_and_know_what_was_said() -> None:
    async with household() as house:
        held = Held(FINISH)
        house.model.script(MODEL, held, tool("finish", summary="Second."))
        session_id = await house.opened()
        running = asyncio.create_task(house.run(session_id))
        await asyncio.wait_for(held.reached.wait(), 60)
        await house.prompt(session_id, "And the tax?", author=house.grace)
        held.release()
        view = await running
        assert (view.state, view.answer) == ("queued", "The total is right now.")
        view = await house.run(session_id)
        assert (view.state, view.answer, view.turns) == ("idle", "Second.", 2)
        texts = [m.text for m in house.model.requests_to(MODEL)[-1].said_by("user")]
        assert any("Ada writes:\nFix the total" in text for text in texts)
        assert any("Grace writes:\nAnd the tax?" in text for text in texts)


async def test_a_steer_prompt_is_handed_over_at_the_next_boundary() -> None:
    async with household() as house:
        held = Held(tool("glob", pattern="*"))
        house.model.script(MODEL, held, FINISH)
        session_id = await house.opened()
        running = asyncio.create_task(house.run(session_id))
        await asyncio.wait_for(held.reached.wait(), 60)
        await house.prompt(session_id, "Leave the tax alone", author=house.grace, steer=True)
        held.release()
        view = await running
        assert view.state == "idle"
        assert view.turns == 1
        last = house.model.requests_to(MODEL)[-1].messages[-1]
        assert "Grace writes:\nLeave the tax alone" in last.text
        assert any(isinstance(event, e.PromptSteered) for event in await house.events(session_id))


async def test_a_stop_ends_a_running_command_and_its_processes() -> None:
    async with household() as house:
        house.model.script(MODEL, tool("bash", command="echo $$ > pid; sleep 300; touch late"))
        session_id = await house.opened()
        running = asyncio.create_task(house.run(session_id))
        await house.until(session_id, lambda event: isinstance(event, e.ToolCalled))
        await house.commands.stop(session_id, house.grace)
        await house.until(session_id, lambda event: isinstance(event, e.SessionStopped))
        view = await running
        assert (view.state, view.stopped_by) == ("stopped", house.grace)
        events = await house.events(session_id)
        assert [event.status for event in events if isinstance(event, e.ToolReturned)] == ["cancelled"]
        assert isinstance(events[-1], e.SessionStopped)
        assert not any(box.running for box in await house.environment.list())


async def test_a_stop_hangs_up_on_the_model() -> None:
    async with household() as house:
        held = Held(say("I think that"))
        house.model.script(MODEL, held)
        session_id = await house.opened()
        running = asyncio.create_task(house.run(session_id))
        await asyncio.wait_for(held.reached.wait(), 60)
        await house.commands.stop(session_id, house.ada)
        await asyncio.wait_for(held.abandoned.wait(), 60)
        await house.until(session_id, lambda event: isinstance(event, e.SessionStopped))
        assert (await running).state == "stopped"


async def test_a_stop_while_it_waits_for_a_person_ends_the_turn() -> None:
    async with household() as house:
        house.model.script(MODEL, FIX, PROPOSE, tool("finish", summary="Again."))
        session_id = await house.opened()
        assert (await house.run(session_id)).state == "awaiting_approval"
        await house.commands.stop(session_id, house.ada)
        assert (await house.run(session_id)).state == "stopped"
        await house.prompt(session_id, "Just tell me")
        view = await house.run(session_id)
        assert (view.state, view.pull_request) == ("idle", None)


async def test_a_second_worker_leaves_a_running_turn_alone() -> None:
    async with household() as house:
        held = Held(FINISH)
        house.model.script(MODEL, held)
        session_id = await house.opened()
        running = asyncio.create_task(house.run(session_id))
        await asyncio.wait_for(held.reached.wait(), 60)
        await house.jobs.run_turn(session_id)
        held.release()
        assert (await running).state == "idle"
        starts = [event for event in await house.events(session_id) if isinstance(event, e.TurnStarted)]
        assert len(starts) == 1


async def test_a_turn_that_works_too_long_ends_with_a_sentence() -> None:
    async with household(turn_limit_seconds=3) as house:
        # Not scripted, which would have to be asked for: the time may be up before the agent begins.
        house.model.play(MODEL, lambda _: tool("bash", command="sleep 300"))
        session_id = await house.opened()
        view = await house.run(session_id)
        assert view.failure is not None
        assert "limit" in view.failure.cause


@pytest.mark.parametrize("steps", [5])
async def test_all_steps_used_asks_and_an_answer_gives_as_many_again(steps: int) -> None:
    async with household(settings={"MAX_STEPS": str(steps)}) as house:
        looks = [tool("glob", pattern=f"{number}*") for number in range(steps)]
        house.model.script(MODEL, *looks, FINISH)
        session_id = await house.opened()
        view = await house.run(session_id)
        assert view.question is not None
        assert f"all {steps} steps" in view.question.text
        await house.commands.answer_question(session_id, view.question.question_id, "go on", house.ada)
        assert (await house.run(session_id)).state == "idle"
