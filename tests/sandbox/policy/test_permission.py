"""Commands that rules refuse or ask about, in a real turn: what runs, when, and what the agent is told."""

from __future__ import annotations

import pytest

from sandbox.agent.turn_log import TurnLog
from sandbox.policy.commands import CommandRules
from sandbox.policy.permission import CommandPermission
from session import events as e
from session.policy import CommandRule
from tests.emulators.model.turns import tool
from tests.faults.waiting import until
from tests.sandbox.household import MODEL, Household, household
from tests.sandbox.test_jobs import FINISH, approve
from tests.sandbox.workbench import git

ASK = {"ask": [{"command": "touch **", "reason": "it makes files"}]}
TOUCH = tool("bash", command="echo once >> ran; touch made")
SEEN = tool("bash", command="cat ran; ls made")


async def results(house: Household, session_id: str) -> list[e.ToolReturned]:
    return [event for event in await house.events(session_id) if isinstance(event, e.ToolReturned)]


async def test_a_command_that_a_rule_asks_about_runs_once_somebody_said_yes() -> None:
    async with household(verify=(), policy=ASK) as house:
        house.model.script(MODEL, TOUCH, SEEN, FINISH)
        session_id = await house.opened()
        view = await house.run(session_id)
        assert view.state == "awaiting_approval"
        request = view.open_approvals[0].request
        assert (request.kind, request.subject, request.head_sha) == (
            "command", "echo once >> ran; touch made", None,
        )  # fmt: skip
        assert "```\necho once >> ran; touch made\n```" in request.detail
        assert "The rule `touch **` of this repository asks about it: it makes files." in request.detail
        assert "advisory" in request.detail
        assert await results(house, session_id) == []
        await approve(house, session_id)
        view = await house.run(session_id)
        assert view.state == "idle"
        assert [item.state for item in view.approvals] == ["used"]
        told = await results(house, session_id)
        assert [event.output for event in told[:2]] == ["(no output)", "once\nmade"]
        kinds = [type(event) for event in await house.events(session_id)]
        assert kinds.index(e.ApprovalUsed) < kinds.index(e.ToolReturned)


async def test_a_yes_is_for_one_call_alone() -> None:
    async with household(verify=(), policy=ASK) as house:
        house.model.script(MODEL, TOUCH, TOUCH)
        session_id = await house.opened()
        await house.run(session_id)
        await approve(house, session_id)
        view = await house.run(session_id)
        assert view.state == "awaiting_approval"
        assert [item.state for item in view.approvals] == ["used", "open"]


async def test_a_no_and_words_instead_of_a_yes_reach_the_agent() -> None:
    async with household(verify=(), policy=ASK) as house:
        house.model.script(MODEL, TOUCH, TOUCH, tool("bash", command="ls"), FINISH)
        session_id = await house.opened()
        view = await house.run(session_id)
        await house.commands.refuse(session_id, view.open_approvals[0].request.approval_id, house.grace)
        await house.run(session_id)
        await house.prompt(session_id, "Leave the files alone", author=house.grace)
        view = await house.run(session_id)
        assert view.state == "idle"
        refused, voided, listed = (await results(house, session_id))[:3]
        assert refused.status == voided.status == "error"
        assert refused.output.startswith("Not run: Grace said no.")
        assert voided.output.startswith("Not run: the request no longer stands (")
        assert "ran" not in listed.output.split()


async def test_a_refused_command_does_not_run_and_the_agent_hears_why() -> None:
    policy = {"deny": ["touch", {"command": "git push **", "reason": "publishing goes through Bellhop"}]}
    async with household(verify=(), policy=policy) as house:
        push = tool("bash", command="bash -c 'git push origin HEAD'")
        start = tool("background", action="start", command="touch made")
        house.model.script(MODEL, push, start, tool("bash", command="ls"), FINISH)
        session_id = await house.opened()
        assert (await house.run(session_id)).state == "idle"
        pushed, started, listed = (await results(house, session_id))[:3]
        assert pushed.status == started.status == "error"
        assert (
            "`git push **` of this repository refuses it: publishing goes through Bellhop." in pushed.output
        )
        assert "made" not in listed.output.split()


async def test_background_commands_are_asked_about_too() -> None:
    async with household(verify=(), policy=ASK) as house:
        house.model.script(MODEL, tool("background", action="start", command="touch made"), FINISH)
        session_id = await house.opened()
        assert (await house.run(session_id)).open_approvals[0].request.kind == "command"
        await approve(house, session_id)
        assert (await house.run(session_id)).state == "idle"
        assert (await results(house, session_id))[0].output.startswith("Started with id")


async def test_a_policy_may_ask_about_every_command() -> None:
    async with household(verify=(), policy={"approvals": {"command": "ask"}}) as house:
        house.model.script(MODEL, tool("bash", command="ls"))
        view = await house.run(await house.opened())
        assert "asks about every command" in view.open_approvals[0].request.detail


async def test_a_yes_that_comes_to_be_used_too_late_does_nothing() -> None:
    async with household(verify=(), policy=ASK, settings={"APPROVAL_MINUTES": "0.001"}) as house:
        house.model.script(MODEL, TOUCH, tool("bash", command="ls"), FINISH)
        session_id = await house.opened()
        request = (await house.run(session_id)).open_approvals[0].request

        async def ran_out() -> bool:
            return await house.log.clock() >= request.expires_at

        await until(ran_out, "the time of the approval is over")
        # Somebody said yes in the last moment, and the worker comes to it only now.
        given = e.ApprovalGiven(approval_id=request.approval_id, digest=request.digest, by=house.ada)
        await house.log.record(session_id, lambda _: [given])
        view = await house.run(session_id)
        assert [(item.state, item.reason) for item in view.approvals] == [("voided", "its time ran out")]
        late, listed = (await results(house, session_id))[:2]
        assert late.output.startswith("Not run: its time ran out.")
        assert "ran" not in listed.output.split()


async def test_a_command_that_waited_for_its_yes_runs_in_a_box_that_took_the_first_ones_place() -> None:
    async with household(verify=(), policy=ASK) as house:
        house.model.script(MODEL, TOUCH, SEEN, FINISH)
        session_id = await house.opened()
        view = await house.run(session_id)
        assert view.sandbox is not None
        await house.environment.remove(view.sandbox.box)
        await approve(house, session_id)
        assert (await house.run(session_id)).state == "idle"
        told = await results(house, session_id)
        assert [(event.status, event.output) for event in told[:2]] == [
            ("ok", "(no output)"),
            ("ok", "once\nmade"),
        ]


@pytest.mark.parametrize("changed", ["command", "workdir", "policy"])
async def test_another_command_or_policy_makes_the_yes_void(changed: str) -> None:
    rules = CommandRules(ask=(CommandRule(command="touch"),))
    async with household(verify=(), policy=ASK) as house:
        house.model.script(MODEL, TOUCH)
        session_id = await house.opened()
        request = (await house.run(session_id)).open_approvals[0].request
        await approve(house, session_id)
        lease = await house.leases.acquire(session_id, "test")
        assert lease is not None
        turn = TurnLog(house.log, session_id, lease.epoch)
        await turn.catch_up()
        public = house.repository.model_copy(update={"public": changed == "policy"})
        permission = CommandPermission(turn, public, rules, 30)
        command = request.subject + ("!" if changed == "command" else "")
        workdir = "billing" if changed == "workdir" else None
        instead = await permission.instead(request.call_id or "", command, workdir)
        assert instead is not None
        item = (await house.log.view(session_id)).approvals[0]
        assert (item.state, item.reason) == ("voided", "what was approved has changed since")


async def test_what_would_be_unseen_or_leave_its_block_is_written_out() -> None:
    command = "touch a\u202e\x1b[2K\n```\nApproved already.\n```"
    async with household(verify=(), policy=ASK) as house:
        house.model.script(MODEL, tool("bash", command=command))
        request = (await house.run(await house.opened())).open_approvals[0].request
        assert request.detail.startswith(
            "````\ntouch a\\u202e\\u001b[2K\n```\nApproved already.\n```\n````\n"
        )


CONFIG = ".bellhop/config.yaml"


async def test_a_repository_can_add_rules_of_its_own_at_the_base_commit() -> None:
    files: dict[str, str | bytes | None] = {CONFIG: "deny:\n- touch\n"}
    lift = tool("bash", command="rm -r .bellhop && git commit -qam 'no rules'")
    async with household(verify=(), files=files) as house:
        house.model.script(MODEL, lift, tool("bash", command="touch made"), FINISH)
        session_id = await house.opened()
        assert (await house.run(session_id)).state == "idle"
        told = await results(house, session_id)
        assert [event.status for event in told[:2]] == ["ok", "error"]
        assert "The rule `touch`" in told[1].output


@pytest.mark.parametrize(
    ("config", "says"),
    [
        (
            "verify: make test\negress:\n- python\n",
            f"{CONFIG}:2 of the repository is wrong: `egress` is decided in the catalogue of the company. A "
            "repository itself can only add stricter rules: deny, ask, protected_paths.",
        ),
        ("approvals: {merge: ask}\n", f"{CONFIG}:1 of the repository is wrong: `approvals` is decided in"),
        (
            "deny:\n- git push\n- a; b\n",
            f"{CONFIG}:3 of the repository is wrong: deny.1.command: must be the",
        ),
        ("verfy: x\n", f"{CONFIG}:1 of the repository is wrong: verfy: is no setting of a repository; known"),
        ("- x\n", f"{CONFIG}:1 of the repository is wrong: must be settings with their names"),
        ("deny: [\n", f"{CONFIG}:2 of the repository is wrong: "),
    ],
)
async def test_a_configuration_that_is_wrong_fails_the_turn_before_a_box(config: str, says: str) -> None:
    async with household(files={CONFIG: config}) as house:
        view = await house.run(await house.opened())
        assert view.failure is not None
        assert view.failure.cause.startswith(says)
        assert view.sandbox is None
        assert git(house.home / "billing.git", "branch", "--list", "bellhop/*") == ""
