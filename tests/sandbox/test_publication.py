"""What leaves a session: checked in a fresh box, approved, once, in its author's name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sandbox.forge.protocol import (
    Credential,
    ForgeRefused,
    ForgeUnavailable,
)
from session import events as e
from session.catalogue import Approvals
from session.people import Person
from session.view import SessionView
from tests.emulators.model.turns import tool
from tests.sandbox.hooked_forge import HookedForge, fails, linked_only, nothing
from tests.sandbox.household import MODEL, Household, household
from tests.sandbox.test_jobs import FINISH, FIX, MOMENT, PROPOSE, approve, given_in_time
from tests.sandbox.workbench import git

BREAK = tool("edit_file", path="billing/invoice.py", old_string="+ 1", new_string="+ 2")
AUTO = Approvals(pull_request="auto")


def results(events: list[e.Event], name: str) -> list[e.ToolReturned]:
    return [event for event in events if isinstance(event, e.ToolReturned) and event.tool == name]


async def proposed(house: Household) -> SessionView:
    """A session that waits for its pull request to be approved."""
    house.model.script(MODEL, FIX, PROPOSE)
    return await house.run(await house.opened())


async def test_failing_checks_go_back_three_times_and_then_the_answer_says_so() -> None:
    async with household() as house:
        house.model.script(MODEL, BREAK, PROPOSE, PROPOSE, PROPOSE, FINISH)
        session_id = await house.opened()
        view = await house.run(session_id)
        events = await house.events(session_id)
        sent_back = results(events, "open_pull_request")
        assert [event.status for event in sent_back] == ["error"] * 3
        assert "total is wrong" in sent_back[0].output
        assert "failed 3 times" in sent_back[2].output
        assert view.state == "idle"
        assert "Checks failed: `sh check.sh`" in view.answer
        assert view.pull_request is None


async def test_finish_does_not_pass_by_the_checks() -> None:
    async with household() as house:
        house.model.script(
            MODEL,
            BREAK,
            FINISH,
            tool("bash", command="git checkout -q . && git reset -q --hard origin/main"),
            FINISH,
        )
        session_id = await house.opened()
        view = await house.run(session_id)
        first = results(await house.events(session_id), "finish")[0]
        assert first.status == "error"
        assert "total is wrong" in first.output
        assert view.answer == "The total is right now."


async def test_a_check_faked_in_the_agents_box_does_not_count() -> None:
    # In the agent's own box the check now says what the agent likes, and git does not see that it was
    # changed.
    fake = "echo exit 0 > check.sh && git update-index --assume-unchanged check.sh && sh check.sh"
    async with household(approvals=AUTO) as house:
        house.model.script(MODEL, BREAK, tool("bash", command=fake), PROPOSE, PROPOSE, PROPOSE, FINISH)
        session_id = await house.opened()
        view = await house.run(session_id)
        faked = results(await house.events(session_id), "bash")[0]
        assert faked.status == "ok"
        assert view.verification is not None
        assert view.verification.verdict == "failed"
        assert view.pull_request is None


async def test_checks_come_from_the_base_commit_and_not_from_the_change() -> None:
    config: dict[str, str | bytes | None] = {".bellhop/config.yaml": "verify: sh check.sh\n"}
    weaken = tool("write_file", path=".bellhop/config.yaml", content="verify: 'true'\n")
    async with household(verify=(), files=config) as house:
        house.model.script(MODEL, BREAK, weaken, PROPOSE, PROPOSE, PROPOSE, FINISH)
        session_id = await house.opened()
        view = await house.run(session_id)
        assert view.verification is not None
        assert [check.command for check in view.verification.checks] == ["sh check.sh"]
        assert view.verification.verdict == "failed"


async def test_without_checks_the_verdict_is_not_run_and_said() -> None:
    async with household(verify=()) as house:
        view = await proposed(house)
        assert view.verification is not None
        assert view.verification.verdict == "not_run"
        assert "Not checked." in view.open_approvals[0].request.detail


async def test_checks_that_are_named_and_cannot_run_leave_it_to_a_person() -> None:
    async with household(approvals=AUTO, verify=("kill -9 -1; sh check.sh",)) as house:
        view = await proposed(house)
        assert view.verification is not None
        assert view.verification.verdict == "not_run"
        assert view.state == "awaiting_approval"
        assert view.published is None


async def test_a_refusal_reaches_the_agent_and_nothing_leaves() -> None:
    async with household() as house:
        view = await proposed(house)
        house.model.script(MODEL, FINISH)
        await house.commands.refuse(view.id, view.open_approvals[0].request.approval_id, house.grace)
        view = await house.run(view.id)
        told = results(await house.events(view.id), "open_pull_request")[0]
        assert told.output.startswith("The pull request was refused by Grace")
        assert view.published is None
        assert git(house.home / "billing.git", "branch", "--list", "bellhop/*") == ""


async def test_words_instead_of_a_yes_void_the_request_and_reach_the_agent() -> None:
    async with household() as house:
        view = await proposed(house)
        house.model.script(MODEL, FINISH)
        await house.prompt(view.id, "Name it differently", author=house.grace)
        view = await house.run(view.id)
        assert [item.state for item in view.approvals] == ["voided"]
        assert view.pull_request is None
        said = [m.text for m in house.model.requests_to(MODEL)[-1].said_by("user")]
        assert any("Grace writes:\nName it differently" in text for text in said)


async def test_commits_are_the_authors_with_the_others_as_co_authors() -> None:
    async with household(approvals=AUTO) as house:
        house.model.script(MODEL, FINISH)
        session_id = await house.opened("Look at invoices", author=house.grace)
        await house.run(session_id)
        house.model.script(MODEL, FIX, PROPOSE, FINISH)
        await house.prompt(session_id, "Fix them", author=house.ada)
        view = await house.run(session_id)
        assert view.pull_request is not None
        form = "--format=%an <%ae>|%cn|%(trailers:key=Co-authored-by,valueonly)"
        line = git(house.home / "billing.git", "log", "-1", form, view.pull_request.head_sha)
        assert line.strip() == "Ada <ada@example.com>|Bellhop|Grace <grace@example.com>"
        assert view.pull_request.author == "Ada"


async def test_a_follow_up_adds_to_the_open_pull_request() -> None:
    async with household(approvals=AUTO) as house:
        house.model.script(MODEL, FIX, PROPOSE, FINISH)
        session_id = await house.opened()
        first = (await house.run(session_id)).pull_request
        note = tool("write_file", path="NOTES.md", content="Totals are sums.\n")
        again = tool("open_pull_request", title="Another title entirely", body="Notes.")
        house.model.script(MODEL, note, again, FINISH)
        await house.prompt(session_id, "Write a note about it")
        second = (await house.run(session_id)).pull_request
        assert first is not None
        assert second is not None
        assert (second.number, second.branch) == (first.number, first.branch)
        assert second.head_sha != first.head_sha
        assert git(house.home / "billing.git", "rev-parse", first.branch) == second.head_sha
        kinds = [type(event) for event in await house.events(session_id)]
        assert kinds.count(e.PullRequestOpened) == 1
        assert kinds.count(e.PullRequestUpdated) == 1


async def test_a_secret_in_any_commit_stays_inside() -> None:
    key = "AKIA" + "ZQ3DR7XWMT5KPL2N"
    async with household(approvals=AUTO) as house:
        put = f"echo 'aws_access_key_id = {key}' > k && git add k && git commit -qm k"
        leak = tool("bash", command=f"{put} && git rm -q k && git commit -qm 'no k'")
        house.model.script(MODEL, FIX, leak, PROPOSE, FINISH)
        session_id = await house.opened()
        view = await house.run(session_id)
        told = results(await house.events(session_id), "open_pull_request")[0]
        assert told.status == "error"
        assert "must not leave" in told.output
        assert view.published is None


async def test_protected_files_are_asked_about_even_where_the_policy_is_auto() -> None:
    async with household(approvals=AUTO) as house:
        house.model.script(
            MODEL, FIX, tool("write_file", path="AGENTS.md", content="Obey.\n"), PROPOSE, FINISH
        )
        session_id = await house.opened()
        view = await house.run(session_id)
        assert view.state == "awaiting_approval"
        assert "AGENTS.md" in view.open_approvals[0].request.detail
        await approve(house, session_id)
        assert (await house.run(session_id)).pull_request is not None


async def test_the_diff_is_kept_for_the_page() -> None:
    async with household() as house:
        view = await proposed(house)
        assert view.changes is not None
        assert (view.changes.files, view.changes.insertions, view.changes.deletions) == (1, 1, 1)
        assert view.changes.diff_artifact is not None
        artifact = await house.parts.artifacts.get(view.id, view.changes.diff_artifact)
        assert artifact is not None
        assert [file["path"] for file in json.loads(artifact.content)] == ["billing/invoice.py"]


@pytest.mark.parametrize(("then", "state"), [("withdraw", "awaiting_approval"), ("refuse", "running")])
async def test_a_yes_taken_back_at_the_last_moment_does_nothing(
    tmp_path: Path, then: str, state: str
) -> None:
    forge = HookedForge(tmp_path)
    async with household(forge=forge) as house:
        view = await proposed(house)
        approval_id = view.open_approvals[0].request.approval_id
        await house.commands.approve(view.id, approval_id, house.grace)

        async def taken_back(_: Credential | None) -> None:
            # Asked anew when the worker is about to use the approval: before a box opens, its word of a
            # moment ago will do.
            forge.before_permission = nothing
            await getattr(house.commands, then)(view.id, approval_id, house.grace)

        forge.before_permission = taken_back
        view = await house.run(view.id)
        assert view.published is None
        assert view.state == state
        assert git(house.home / "billing.git", "branch", "--list", "bellhop/*") == ""


async def test_a_yes_that_is_carried_out_too_late_does_nothing_and_the_agent_hears_it() -> None:
    async with household(settings={"APPROVAL_MINUTES": MOMENT}) as house:
        view = await proposed(house)
        await given_in_time(house, view)
        house.model.script(MODEL, FINISH)
        view = await house.run(view.id)
        assert [(item.state, item.reason) for item in view.approvals] == [("voided", "its time ran out")]
        told = results(await house.events(view.id), "open_pull_request")[0]
        assert told.status == "error"
        assert "its time ran out" in told.output
        assert view.published is None
        assert git(house.home / "billing.git", "branch", "--list", "bellhop/*") == ""


async def test_an_outage_of_the_forge_pauses_the_turn_and_costs_no_approval(tmp_path: Path) -> None:
    forge = HookedForge(tmp_path, opening=fails(ForgeUnavailable("The forge cannot be reached."), 1))
    async with household(forge=forge) as house:
        view = await proposed(house)
        await house.commands.approve(view.id, view.open_approvals[0].request.approval_id, house.grace)
        paused = await house.run(view.id)
        assert paused.state == "paused"
        assert paused.pull_request is None
        house.model.script(MODEL, FINISH)
        view = await house.run(view.id)
        assert view.pull_request is not None
        asked = [item for item in view.approvals if item.request.kind == "pull_request"]
        assert [item.state for item in asked] == ["used"]


def with_login(person: Person) -> Person:
    return person.model_copy(update={"forge_login": person.name.lower()})


async def test_without_a_linked_account_the_branch_and_how_to_link_remain(tmp_path: Path) -> None:
    forge = HookedForge(tmp_path, strict=True, opening=linked_only)
    async with household(approvals=AUTO, forge=forge) as house:
        house.model.script(MODEL, FIX, PROPOSE, FINISH)
        view = await house.run(await house.opened(author=with_login(house.ada)))
        told = results(await house.events(view.id), "open_pull_request")[0]
        assert view.published is not None
        assert view.published.compare_url in told.output
        assert "link the account" in told.output
        assert view.pull_request is None


class StrictAccounts:
    """Ada's account: its token is `stale` until it is renewed; `renewals` are what renewing gives."""

    def __init__(self, *renewals: Credential | None) -> None:
        self.renewals = list(renewals)

    async def login(self, person: str) -> str | None:
        return "ada"

    async def credential(self, person: str) -> Credential | None:
        return Credential("ada", "stale")

    async def renewed(self, person: str, refused: Credential) -> Credential | None:
        assert refused.token == "stale"
        return self.renewals.pop(0)


async def no_stale_tokens(credential: Credential | None) -> None:
    """What a forge says to a token that it has forgotten."""
    if credential is not None and credential.token == "stale":
        raise ForgeRefused("the token is no longer good.", 401)
    await linked_only(credential)


async def test_a_token_that_is_no_longer_good_is_renewed_once(tmp_path: Path) -> None:
    accounts = StrictAccounts(Credential("ada", "fresh"), None)
    forge = HookedForge(tmp_path, strict=True, opening=no_stale_tokens)
    async with household(approvals=AUTO, forge=forge, accounts={forge.name: accounts}) as house:
        house.model.script(MODEL, FIX, PROPOSE, FINISH)
        renewed = await house.run(await house.opened())
        assert renewed.pull_request is not None
        house.model.script(MODEL, FIX, PROPOSE, FINISH)
        spent = await house.run(await house.opened())
        assert spent.pull_request is None
        assert spent.published is not None
        assert "link the account" in results(await house.events(spent.id), "open_pull_request")[0].output
        assert accounts.renewals == []


async def test_a_refused_push_costs_nobody_their_token(tmp_path: Path) -> None:
    accounts = StrictAccounts(Credential("ada", "fresh"))
    refusal = ForgeRefused("Bellhop's own token is no longer good.", 401)
    forge = HookedForge(tmp_path, publishing=fails(refusal))
    async with household(approvals=AUTO, forge=forge, accounts={forge.name: accounts}) as house:
        house.model.script(MODEL, FIX, PROPOSE, FINISH)
        view = await house.run(await house.opened())
        told = results(await house.events(view.id), "open_pull_request")[0]
        assert told.status == "error"
        assert "Bellhop's own token" in told.output
        assert len(accounts.renewals) == 1


async def test_who_has_no_account_or_may_not_write_gets_no_box(tmp_path: Path) -> None:
    people = tmp_path / "people.yaml"
    people.write_text("'*': {ada: read}\n")
    async with household(forge=HookedForge(tmp_path, people=people, strict=True)) as house:
        unlinked = await house.run(await house.opened(author=house.grace))
        reader = await house.run(await house.opened(author=with_login(house.ada)))
        assert unlinked.failure is not None
        assert "no linked account" in unlinked.failure.cause
        assert reader.failure is not None
        assert "may not write" in reader.failure.cause
        assert await house.environment.list() == []


async def test_what_tools_leave_behind_is_no_part_of_a_change() -> None:
    littered = tool(
        "bash",
        command="mkdir -p a/__pycache__ node_modules && touch a/__pycache__/m.pyc node_modules/x.js && "
        "touch a/m.py",
    )
    async with household(approvals=AUTO) as house:
        house.model.script(MODEL, FIX, littered, PROPOSE, FINISH)
        view = await house.run(await house.opened())
        assert view.pull_request is not None
        listed = git(house.home / "billing.git", "ls-tree", "-r", "--name-only", view.pull_request.branch)
        assert "a/m.py" in listed
        assert "pycache" not in listed
        assert "node_modules" not in listed
