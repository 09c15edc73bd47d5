"""A merge happens once, at the approved commit, by somebody whose words are not in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox.forge.local import LocalForge
from sandbox.forge.protocol import Credential, ForgeRepository, ForgeUnavailable, Permission, PullRequestRef
from sandbox.merging import TRIES
from session import events as e
from session.catalogue import Approvals
from session.listing import need
from session.refusals import NotAllowed
from session.view import SessionView
from tests.emulators.model.turns import tool
from tests.sandbox.household import MODEL, Household, household
from tests.sandbox.test_jobs import FINISH, FIX, MOMENT, PROPOSE, given_in_time
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


class AwayForge(LocalForge):
    """A forge that is away the next `asking` times people's rights are asked for, and the next `merging`
    times it is told to merge; with `late` it merges all the same, and only its answer is lost."""

    asking = 0
    merging = 0
    late = False

    async def permission(self, repository: ForgeRepository, login: str) -> Permission:
        if self.asking:
            self.asking -= 1
            raise ForgeUnavailable("The forge cannot be reached.")
        return await super().permission(repository, login)

    async def merge(
        self,
        repository: ForgeRepository,
        number: int,
        head_sha: str,
        *,
        as_person: Credential | None,
        message: str,
    ) -> PullRequestRef:
        if self.merging:
            self.merging -= 1
            if self.late:
                await super().merge(repository, number, head_sha, as_person=as_person, message=message)
            raise ForgeUnavailable("The forge cannot be reached.")
        return await super().merge(repository, number, head_sha, as_person=as_person, message=message)


async def approved(house: Household) -> SessionView:
    """A session whose merge Grace has approved."""
    view = await with_pull_request(house)
    return await house.commands.approve(view.id, view.open_approvals[0].request.approval_id, house.grace)


async def test_an_outage_before_the_merge_costs_no_approval(tmp_path: Path) -> None:
    forge = AwayForge(tmp_path)
    async with household(approvals=MERGED, forge=forge) as house:
        view = await approved(house)
        forge.asking = 1
        await house.jobs.merge_pull_request(view.id)
        waiting = await house.log.view(view.id)
        assert waiting.failure is None
        assert waiting.approvals[0].state == "given"
        assert need(waiting) == "merge", "the reconciler comes back to it"
        await house.jobs.merge_pull_request(view.id)
        merged = await house.log.view(view.id)
        assert merged.pull_request is not None
        assert merged.pull_request.state == "merged"
        assert merged.approvals[0].state == "used"


@pytest.mark.parametrize("late", [False, True])
async def test_an_outage_in_the_middle_of_a_merge_is_waited_out(tmp_path: Path, late: bool) -> None:
    forge = AwayForge(tmp_path)
    async with household(approvals=MERGED, forge=forge) as house:
        view = await approved(house)
        forge.merging, forge.late = 1, late
        await house.jobs.merge_pull_request(view.id)
        merged = await house.log.view(view.id)
        assert merged.pull_request is not None
        assert merged.pull_request.state == "merged"
        assert merged.failure is None
        assert git(house.home / "billing.git", "rev-list", "--count", "--merges", "main") == "1"


async def test_a_merge_that_a_dead_worker_began_is_carried_out() -> None:
    async with household(approvals=MERGED) as house:
        view = await approved(house)
        lease = await house.leases.acquire(view.id, "the worker that died")
        assert lease is not None
        used = e.ApprovalUsed(approval_id=view.approvals[0].request.approval_id)
        begun = await house.log.record(view.id, lambda _: [used], epoch=lease.epoch)
        await house.leases.release(lease)
        assert need(begun) == "merge", "the reconciler finds it"
        await house.jobs.merge_pull_request(view.id)
        merged = await house.log.view(view.id)
        assert merged.pull_request is not None
        assert merged.pull_request.state == "merged"
        assert need(merged) is None


async def test_a_merge_that_failed_is_not_begun_again_by_itself(tmp_path: Path) -> None:
    forge = AwayForge(tmp_path)
    async with household(approvals=MERGED, forge=forge) as house:
        view = await approved(house)
        forge.merging = TRIES
        await house.jobs.merge_pull_request(view.id)
        house.model.script(MODEL, FINISH)
        await house.prompt(view.id, "What happened?")
        later = await house.run(view.id)
        assert later.failure is None
        assert need(later) is None
        assert later.approvals[0].state == "voided"


async def test_an_outage_that_lasts_fails_the_merge_aloud(tmp_path: Path) -> None:
    forge = AwayForge(tmp_path)
    async with household(approvals=MERGED, forge=forge) as house:
        view = await approved(house)
        forge.merging = TRIES
        await house.jobs.merge_pull_request(view.id)
        failed = (await house.events(view.id))[-1]
        assert isinstance(failed, e.MergeFailed)
        assert "cannot be reached" in failed.cause
        assert forge.merging == 0


async def test_who_may_not_merge_any_more_fails_it_once(tmp_path: Path) -> None:
    people = tmp_path / "people.yaml"
    people.write_text("{}\n")
    async with household(approvals=MERGED, forge=LocalForge(tmp_path, people=people)) as house:
        view = await approved(house)
        people.write_text("'*': {Grace: read}\n")
        await house.jobs.merge_pull_request(view.id)
        failed = await house.log.view(view.id)
        assert failed.failure is not None
        assert "may not write" in failed.failure.cause
        assert need(failed) is None


async def test_a_yes_that_is_carried_out_too_late_does_nothing() -> None:
    async with household(approvals=MERGED, settings={"APPROVAL_MINUTES": MOMENT}) as house:
        view = await with_pull_request(house)
        await given_in_time(house, view)
        await house.jobs.merge_pull_request(view.id)
        voided = (await house.events(view.id))[-1]
        assert isinstance(voided, e.ApprovalVoided)
        assert voided.reason == "its time ran out"
        assert git(house.home / "billing.git", "rev-parse", "main") == house.upstream.head()
