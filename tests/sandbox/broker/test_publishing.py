"""The way out of quarantine, against a real forge on disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox.broker.publishing import (
    Inspected,
    Publication,
    PublishNeedsApproval,
    PublishRefused,
    inspected,
    publish,
)
from sandbox.broker.quarantine import Quarantine
from sandbox.forge.local import LocalForge
from sandbox.forge.protocol import ForgeRepository
from tests.sandbox.workbench import Workbench

BRANCH = "bellhop/s1/change"
GITHUB_TOKEN = "gh" + "p_" + "a1B2" * 9


class Desk:
    """A forge with a repository, and one session that wants to publish."""

    def __init__(self, tmp_path: Path) -> None:
        self.tmp_path = tmp_path
        self.origin = Workbench.new(tmp_path / "origin").bare(tmp_path / "origin.git")
        self.box = Workbench.clone(self.origin, tmp_path / "box")
        self.forge = LocalForge(tmp_path / "forge")
        self.repository = ForgeRepository("acme/billing", str(self.origin), "main")

    async def work(self, branch: str = BRANCH, *, protected: tuple[str, ...] = ()) -> Inspected:
        """What is in the box, taken in and looked at."""
        mirror = await self.forge.sync_mirror(self.repository)
        quarantine = await Quarantine.create(self.tmp_path / "q.git", mirror.path)
        await quarantine.receive_bundle(self.box.bundle(self.tmp_path / "b"))
        publication = Publication("s1", self.box.head(), branch, mirror.head_sha, None)
        return await inspected(self.repository, quarantine, publication, protected=protected)

    async def head(self) -> str | None:
        return await self.forge.branch_head(self.repository, BRANCH)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


async def test_plain_work_is_published(desk: Desk) -> None:
    head = desk.box.commit("Plain", {"a.txt": "1"})
    assert await publish(desk.forge, await desk.work()) == ()
    assert await desk.head() == head


async def test_a_secret_in_history_is_not_published(desk: Desk) -> None:
    desk.box.commit("Add", {"a.txt": GITHUB_TOKEN})
    desk.box.commit("Remove", {"a.txt": None})
    work = await desk.work()
    for approved in ((), [work.digest]):
        with pytest.raises(PublishRefused, match=r"a\.txt") as refused:
            await publish(desk.forge, work, approved_digests=approved)
        assert not isinstance(refused.value, PublishNeedsApproval)
        assert GITHUB_TOKEN[:8] not in str(refused.value)
    assert await desk.head() is None


async def test_a_protected_path_is_published_with_its_approval_only(desk: Desk) -> None:
    first = desk.box.commit("CI", {".github/workflows/ci.yml": "on: push\n"})
    work = await desk.work()
    with pytest.raises(PublishNeedsApproval) as asked:
        await publish(desk.forge, work)
    approved = [asked.value.digest]
    desk.box.commit("More", {"a.txt": "1"})
    with pytest.raises(PublishNeedsApproval):
        await publish(desk.forge, await desk.work(), approved_digests=approved)
    with pytest.raises(PublishNeedsApproval):
        await publish(desk.forge, await desk.work(f"{BRANCH}-2"), approved_digests=approved)
    assert await desk.head() is None
    let_pass = await publish(desk.forge, work, approved_digests=approved)
    assert [finding.path for finding in let_pass] == [".github/workflows/ci.yml"]
    assert await desk.head() == first


async def test_the_repositorys_own_protected_paths_need_an_approval(desk: Desk) -> None:
    head = desk.box.commit("Terraform", {"infra/main.tf": "x\n"})
    work = await desk.work(protected=("/infra/",))
    with pytest.raises(PublishNeedsApproval, match=r"infra/main\.tf") as asked:
        await publish(desk.forge, work)
    await publish(desk.forge, work, approved_digests=[asked.value.digest])
    assert await desk.head() == head


@pytest.mark.parametrize(
    "branch",
    ["main", "bellhop/s2/change", "bellhop/s1/", "bellhop/s1/../s2/x", "refs/heads/main", "bellhop/s1x/y"],
)
async def test_only_the_sessions_own_branches_are_published(desk: Desk, branch: str) -> None:
    desk.box.commit("Plain", {"a.txt": "1"})
    work = await desk.work(branch)
    before = await desk.forge.branch_head(desk.repository, "main")
    with pytest.raises(PublishRefused, match="is not a branch of session s1"):
        await publish(desk.forge, work)
    assert await desk.forge.branch_head(desk.repository, "main") == before
