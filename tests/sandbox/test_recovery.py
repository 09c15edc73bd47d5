"""Workers, boxes, models and forges go away in the middle; the turn goes on, and nothing runs twice."""

from __future__ import annotations

import asyncio
import json

from sandbox.box_work import author_env
from sandbox.broker.desk import StorePlaces
from sandbox.environments.protocol import SandboxSpec
from sandbox.forge.protocol import ForgeRepository
from sandbox.session_boxes import box_name
from session import events as e
from session.catalogue import Approvals
from session.leases import Lease
from tests.emulators.model.turns import Held, HttpFault, tool
from tests.sandbox.household import MODEL, Household, household
from tests.sandbox.test_jobs import FINISH, FIX, PROPOSE
from tests.sandbox.workbench import git

OUTAGE = HttpFault(503, "Down.")
AUTO = Approvals(pull_request="auto")
COUNT = "echo once >> ran; cat ran"


def calls(command: str) -> tuple[e.ToolRequest, ...]:
    return (e.ToolRequest(call_id="call_lost", tool="bash", arguments=json.dumps({"command": command})),)


async def left_behind(house: Household, session_id: str) -> Lease:
    """A worker that began a turn and then died: its lease is gone, the turn is open and has its box."""
    held = Held(FINISH)
    house.model.script(MODEL, held)
    running = asyncio.create_task(house.jobs.run_turn(session_id))
    await asyncio.wait_for(held.reached.wait(), 60)
    running.cancel()
    await asyncio.wait([running])
    lease = await house.leases.acquire(session_id, "the worker that died")
    assert lease is not None
    return lease


async def record(house: Household, lease: Lease, *events: e.Event) -> None:
    await house.log.record(lease.session_id, lambda _: events, epoch=lease.epoch)


async def asked_for(house: Household, lease: Lease, command: str) -> None:
    """The dead worker recorded the model's answer and that its call began."""
    view = await house.log.view(lease.session_id)
    assert view.turn is not None
    turn_id = view.turn.turn_id
    await record(
        house,
        lease,
        e.ModelReplied(turn_id=turn_id, text="", tool_calls=calls(command), model=MODEL),
        e.ToolCalled(turn_id=turn_id, call_id="call_lost", tool="bash", action="running it"),
    )


def spec(house: Household, session_id: str) -> SandboxSpec:
    name = box_name(session_id)
    return SandboxSpec(session_id, name, None, house.parts.places.inbound / name)


async def test_a_call_that_ran_before_the_worker_died_is_not_run_again() -> None:
    async with household(verify=()) as house:
        session_id = await house.opened()
        lease = await left_behind(house, session_id)
        await asked_for(house, lease, COUNT)
        async with await house.environment.open(spec(house, session_id)) as box:
            await box.runner.exec("call_lost", COUNT, timeout_seconds=120, env=dict(author_env(house.ada)))
        await house.leases.release(lease)
        house.model.script(MODEL, FINISH)
        view = await house.run(session_id)
        assert view.state == "idle"
        returned = [event for event in await house.events(session_id) if isinstance(event, e.ToolReturned)]
        assert (returned[0].call_id, returned[0].output) == ("call_lost", "once")


async def test_a_call_that_only_was_recorded_runs_once_now() -> None:
    async with household(verify=()) as house:
        session_id = await house.opened()
        lease = await left_behind(house, session_id)
        await asked_for(house, lease, COUNT)
        await house.leases.release(lease)
        house.model.script(MODEL, FINISH)
        await house.run(session_id)
        returned = [event for event in await house.events(session_id) if isinstance(event, e.ToolReturned)]
        assert (returned[0].status, returned[0].output) == ("ok", "once")


async def test_where_the_box_is_gone_too_the_end_of_a_call_is_unknown() -> None:
    async with household(verify=()) as house:
        session_id = await house.opened()
        lease = await left_behind(house, session_id)
        await asked_for(house, lease, COUNT)
        await house.environment.remove(box_name(session_id))
        await house.leases.release(lease)
        house.model.script(MODEL, FINISH)
        view = await house.run(session_id)
        returned = [event for event in await house.events(session_id) if isinstance(event, e.ToolReturned)]
        assert returned[0].status == "unknown"
        assert "Look at the state" in returned[0].output
        assert view.state == "idle"


async def test_a_box_killed_under_a_command_is_opened_again_and_said() -> None:
    async with household() as house:
        house.model.script(MODEL, tool("bash", command="sleep 300"), tool("glob", pattern="*"), FINISH)
        session_id = await house.opened()
        running = asyncio.create_task(house.run(session_id))
        await house.until(session_id, lambda event: isinstance(event, e.ToolCalled))
        async with await house.environment.open(spec(house, session_id)) as box:
            await box.kill()
        view = await running
        assert view.state == "idle"
        events = await house.events(session_id)
        assert sum(isinstance(event, e.SandboxLost) for event in events) == 1
        returned = [event for event in events if isinstance(event, e.ToolReturned)]
        assert returned[0].status == "unknown"
        assert returned[1].status == "ok"


async def test_a_lost_box_is_rebuilt_with_all_that_was_in_it() -> None:
    async with household(verify=()) as house:
        house.model.script(
            MODEL,
            tool("write_file", path="draft.md", content="half a thought\n"),
            tool("bash", command="git commit -q --allow-empty -m Mine && rm README.md"),
            tool("ask_user", question="Go on?"),
        )
        session_id = await house.opened()
        view = await house.run(session_id)
        await house.environment.remove(box_name(session_id))
        assert view.question is not None
        await house.commands.answer_question(session_id, view.question.question_id, "yes", house.ada)
        house.model.script(
            MODEL, tool("bash", command="cat draft.md; git log -1 --format=%s; git status --short"), FINISH
        )
        await house.run(session_id)
        events = await house.events(session_id)
        ready = [event for event in events if isinstance(event, e.SandboxReady)]
        assert [event.replaced for event in ready] == [False, True]
        assert "as they were last saved" in ready[1].restored
        shown = next(
            event for event in reversed(events) if isinstance(event, e.ToolReturned) and event.tool == "bash"
        )
        assert shown.output.split("\n") == ["half a thought", "Mine", " D README.md", "?? draft.md"]


LOCKS = "mkdir -p .git/refs/bellhop; touch .git/index.lock .git/config.lock .git/refs/bellhop/checkpoint.lock"
"""What a git leaves that is killed at its work."""


async def test_locks_of_a_git_that_was_killed_keep_nobody_from_anything() -> None:
    async with household(verify=()) as house:
        house.model.script(MODEL, tool("bash", command=LOCKS), FIX, PROPOSE)
        session_id = await house.opened()
        view = await house.run(session_id)
        assert (view.state, view.failure, view.degraded) == ("awaiting_approval", None, ())
        await house.commands.refuse(session_id, view.open_approvals[0].request.approval_id, house.ada)
        async with await house.environment.open(spec(house, session_id)) as box:
            await box.runner.exec("killed", LOCKS, timeout_seconds=60)
        house.model.script(
            MODEL,
            tool("bash", command="echo more >>README.md && git commit -qam Mine && git log -1 --format=%s"),
            FINISH,
        )
        view = await house.run(session_id)
        assert (view.state, view.failure, view.degraded) == ("idle", None, ())
        returned = [event for event in await house.events(session_id) if isinstance(event, e.ToolReturned)]
        assert [event.output for event in returned if event.tool == "bash"][-1] == "Mine"


async def test_a_git_that_still_works_is_waited_for() -> None:
    async with household(verify=()) as house:
        house.model.script(MODEL, FINISH)
        session_id = await house.opened()
        await house.run(session_id)
        async with await house.environment.open(spec(house, session_id)) as box:
            at_work = "mkfifo ~/gate; echo more >>README.md; GIT_EDITOR='cat ~/gate >' git commit -qa"
            commit = asyncio.create_task(box.runner.exec("commit", at_work, timeout_seconds=60))
            await box.runner.exec("locked", "until [ -e .git/index.lock ]; do :; done", timeout_seconds=60)
            house.model.script(MODEL, FIX, PROPOSE)
            await house.prompt(session_id, "Go on")
            running = asyncio.create_task(house.run(session_id))
            waits = "until grep -qx sleep /proc/[0-9]*/comm 2>/dev/null; do :; done; echo By hand >~/gate"
            assert (await box.runner.exec("waited for", waits, timeout_seconds=60)).exit_code == 0
            assert (await commit).exit_code == 0
            view = await running
            assert (view.state, view.failure) == ("awaiting_approval", None)
            said = await box.runner.exec("log", "git log --format=%s", timeout_seconds=60)
        assert said.output.splitlines()[:2] == ["Sum invoice lines rightly", "By hand"]


async def test_a_model_outage_pauses_and_the_next_drive_goes_on() -> None:
    async with household() as house:
        house.model.script(MODEL, FIX, OUTAGE, OUTAGE)
        session_id = await house.opened()
        view = await house.run(session_id)
        assert view.state == "paused"
        house.model.script(MODEL, PROPOSE)
        assert (await house.run(session_id)).state == "awaiting_approval"


async def test_a_worker_whose_lease_is_gone_writes_nothing_more() -> None:
    async with household() as house:
        held = Held(FIX)
        house.model.script(MODEL, held)
        session_id = await house.opened()
        running = asyncio.create_task(house.jobs.run_turn(session_id))
        await asyncio.wait_for(held.reached.wait(), 60)
        await house.database.execute("UPDATE leases SET expires_at = '2000-01-01 00:00:00+00:00'")
        other = await house.leases.acquire(session_id, "another worker")
        assert other is not None
        before = (await house.log.view(session_id)).seq
        await asyncio.wait_for(running, 60)
        assert (await house.log.view(session_id)).seq == before
        await asyncio.wait_for(held.abandoned.wait(), 60)
        await house.leases.release(other)


async def test_a_push_whose_record_was_lost_is_found_on_the_forge() -> None:
    async with household() as house:
        house.model.script(MODEL, FIX, PROPOSE)
        session_id = await house.opened()
        view = await house.run(session_id)
        request = view.open_approvals[0].request
        await house.commands.approve(session_id, request.approval_id, house.ada)
        lease = await house.leases.acquire(session_id, "the worker that died")
        assert lease is not None
        # It used the approval, pushed the branch and opened the pull request, and died before it recorded
        # that.
        await record(house, lease, e.ApprovalUsed(approval_id=request.approval_id))
        branch = f"bellhop/{session_id}/sum-invoice-lines-rightly"
        await house.parts.effects.begin(f"{session_id}:publish:{request.head_sha}", session_id, lease.epoch)
        await house.parts.effects.begin(f"{session_id}:pull_request:{branch}", session_id, lease.epoch)
        quarantine = StorePlaces.under(house.home).quarantines.path(session_id, "acme/billing")
        git(
            quarantine,
            "push",
            "-q",
            str(house.home / "billing.git"),
            f"{request.head_sha}:refs/heads/{branch}",
        )
        where = house.repository
        repository = ForgeRepository(where.slug, where.url, where.default_branch)
        there = await house.forge.open_pull_request(
            repository, branch=branch, base="main", title="T", body="B", draft=False, as_person=None
        )
        await house.leases.release(lease)
        house.model.script(MODEL, FINISH)
        view = await house.run(session_id)
        assert view.state == "idle"
        opened = [event for event in await house.events(session_id) if isinstance(event, e.PullRequestOpened)]
        assert [(event.number, event.adopted) for event in opened] == [(there.number, True)]


async def test_a_follow_up_learns_that_the_base_has_moved() -> None:
    async with household(verify=()) as house:
        house.model.script(MODEL, FINISH)
        session_id = await house.opened()
        await house.run(session_id)
        moved = house.upstream.commit("Move on", {"later.md": "later\n"})
        git(house.upstream.path, "push", "-q", str(house.home / "billing.git"), "main")
        house.model.script(MODEL, tool("bash", command="git rev-parse origin/main"), FIX, PROPOSE)
        await house.prompt(session_id, "Go on")
        view = await house.run(session_id)
        events = await house.events(session_id)
        shown = next(event for event in events if isinstance(event, e.ToolReturned) and event.tool == "bash")
        assert shown.output == moved
        assert any(isinstance(event, e.NoteAdded) and moved[:12] in event.text for event in events)
        assert view.changes is not None
        assert view.changes.files == 1


async def test_an_unknown_repository_fails_with_what_to_do() -> None:
    async with household() as house:
        session_id = await house.opened()
        other = e.RepositoryChosen(slug="acme/gone", branch="main", how="named", reason="it was named")
        await house.log.record(session_id, lambda _: (other,))
        view = await house.run(session_id)
        assert view.failure is not None
        assert "acme/gone" in view.failure.cause
        assert view.failure.advice


async def test_a_failed_setup_is_told_to_the_agent() -> None:
    async with household(setup=("echo no index >&2; exit 3",)) as house:
        house.model.script(MODEL, FINISH)
        session_id = await house.opened()
        await house.run(session_id)
        notes = [event.text for event in await house.events(session_id) if isinstance(event, e.NoteAdded)]
        assert len(notes) == 1
        assert "no index" in notes[0]


async def test_another_repository_starts_with_nothing_of_the_first_one() -> None:
    async with household(verify=(), others=("acme/web",)) as house:
        session_id = await house.opened()
        house.model.script(MODEL, tool("bash", command="echo secret plan >plan.txt; ls"), FINISH)
        await house.run(session_id)
        await house.commands.pick_repository(session_id, "acme/web", house.ada)
        await house.prompt(session_id, "Now there")
        house.model.script(MODEL, tool("bash", command="ls -A; git branch -a; cat README.md"), FINISH)
        view = await house.run(session_id)
        seen = [event for event in await house.events(session_id) if isinstance(event, e.ToolReturned)][-2]
        assert view.failure is None
        assert "plan.txt" not in seen.output
        assert "billing" not in seen.output
        assert "acme/web" in seen.output
