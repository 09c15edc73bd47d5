"""A merge happens once, at the approved commit, by somebody whose words are not in it."""

from __future__ import annotations

import pytest

from session import events as e
from session.catalogue import Approvals
from session.refusals import NotAllowed
from session.view import SessionView
from tests.emulators.model.turns import tool
from tests.sandbox.household import MODEL, Household, household
from tests.sandbox.test_jobs import FINISH, FIX, PROPOSE
from tests.sandbox.workbench import git

MERGED = Approvals(pull_request="auto", merge="ask")


async def with_pull_request(house: Household) -> SessionView:
    house.model.script(MODEL, FIX, PROPOSE, FINISH)
    return await house.run(await house.opened())


async def test_an_approved_merge_is_carried_out_once() -> None:
    async with household(approvals=MERGED) as house:
        view = await with_pull_request(house)
        assert view.state == "idle"
        request = view.open_approvals[0].request
        assert (request.kind, request.blocking) == ("merge", False)
        with pytest.raises(NotAllowed):
            await house.commands.approve(view.id, request.approval_id, house.ada)
        await house.commands.approve(view.id, request.approval_id, house.grace)
        await house.jobs.merge_pull_request(view.id)
        await house.jobs.merge_pull_request(view.id)
        view = await house.log.view(view.id)
        assert view.pull_request is not None
        assert view.pull_request.state == "merged"
        kinds = [type(event) for event in await house.events(view.id)]
        assert kinds.count(e.ApprovalUsed) == kinds.count(e.PullRequestStateChanged) == 1
        assert "sum(lines)\n" in git(house.home / "billing.git", "show", "main:billing/invoice.py") + "\n"


async def test_new_commits_void_the_request() -> None:
    async with household(approvals=MERGED) as house:
        view = await with_pull_request(house)
        house.model.script(MODEL, tool("write_file", path="N.md", content="n\n"), PROPOSE, FINISH)
        await house.prompt(view.id, "Add a note")
        view = await house.run(view.id)
        assert [item.state for item in view.approvals] == ["voided", "open"]
        assert view.pull_request is not None
        assert view.approvals[1].request.head_sha == view.pull_request.head_sha


async def test_a_branch_that_moved_on_the_forge_is_not_merged() -> None:
    async with household(approvals=MERGED) as house:
        view = await with_pull_request(house)
        assert view.pull_request is not None
        await house.commands.approve(view.id, view.open_approvals[0].request.approval_id, house.grace)
        bare = house.home / "billing.git"
        tree = git(bare, "rev-parse", f"{view.pull_request.branch}^{{tree}}")
        extra = git(bare, "commit-tree", tree, "-p", view.pull_request.head_sha, "-m", "Slip something in")
        git(bare, "update-ref", f"refs/heads/{view.pull_request.branch}", extra)
        await house.jobs.merge_pull_request(view.id)
        events = await house.events(view.id)
        assert isinstance(events[-1], e.MergeFailed)
        assert git(bare, "rev-parse", "main") == house.upstream.head()
