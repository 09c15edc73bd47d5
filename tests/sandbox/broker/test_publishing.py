"""The way out of quarantine, against a real forge on disk."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from sandbox.broker.publishing import (
    Publication,
    PublishNeedsApproval,
    PublishRefused,
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

    async def publication(self) -> tuple[Quarantine, Publication]:
        mirror = await self.forge.sync_mirror(self.repository)
        quarantine = await Quarantine.create(self.tmp_path / "q.git", mirror.path)
        await quarantine.receive_bundle(self.box.bundle(self.tmp_path / "b"))
        return quarantine, Publication("s1", self.box.head(), BRANCH, mirror.head_sha, None)

    async def head(self) -> str | None:
        return await self.forge.branch_head(self.repository, BRANCH)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


async def test_plain_work_is_published(desk: Desk) -> None:
    head = desk.box.commit("Plain", {"a.txt": "1"})
    quarantine, publication = await desk.publication()
    assert await publish(desk.forge, desk.repository, quarantine, publication) == ()
    assert await desk.head() == head


async def test_a_secret_in_history_is_not_published(desk: Desk) -> None:
    desk.box.commit("Add", {"a.txt": GITHUB_TOKEN})
    desk.box.commit("Remove", {"a.txt": None})
    quarantine, publication = await desk.publication()
    with pytest.raises(PublishRefused, match=r"a\.txt") as refused:
        await publish(desk.forge, desk.repository, quarantine, publication)
    assert not isinstance(refused.value, PublishNeedsApproval)
    assert GITHUB_TOKEN not in str(refused.value)
    assert await desk.head() is None


async def test_a_protected_path_is_published_with_its_approval_only(desk: Desk) -> None:
    first = desk.box.commit("CI", {".github/workflows/ci.yml": "on: push\n"})
    quarantine, publication = await desk.publication()
    with pytest.raises(PublishNeedsApproval) as asked:
        await publish(desk.forge, desk.repository, quarantine, publication)
    approved = [asked.value.digest]
    desk.box.commit("More", {"a.txt": "1"})
    quarantine, changed = await desk.publication()
    with pytest.raises(PublishNeedsApproval):
        await publish(desk.forge, desk.repository, quarantine, changed, approved_digests=approved)
    assert await desk.head() is None
    let_pass = await publish(desk.forge, desk.repository, quarantine, publication, approved_digests=approved)
    assert [finding.path for finding in let_pass] == [".github/workflows/ci.yml"]
    assert await desk.head() == first


async def test_the_repositorys_own_protected_paths_need_an_approval(desk: Desk) -> None:
    head = desk.box.commit("Terraform", {"infra/main.tf": "x\n"})
    quarantine, publication = await desk.publication()
    with pytest.raises(PublishNeedsApproval, match=r"infra/main\.tf") as asked:
        await publish(desk.forge, desk.repository, quarantine, publication, protected=("/infra/",))
    approved = [asked.value.digest]
    await publish(
        desk.forge,
        desk.repository,
        quarantine,
        publication,
        approved_digests=approved,
        protected=("/infra/",),
    )
    assert await desk.head() == head


@pytest.mark.parametrize(
    "branch",
    ["main", "bellhop/s2/change", "bellhop/s1/", "bellhop/s1/../s2/x", "refs/heads/main", "bellhop/s1x/y"],
)
async def test_only_the_sessions_own_branches_are_published(desk: Desk, branch: str) -> None:
    desk.box.commit("Plain", {"a.txt": "1"})
    quarantine, publication = await desk.publication()
    before = await desk.forge.branch_head(desk.repository, "main")
    with pytest.raises(Exception, match="branch"):
        await publish(desk.forge, desk.repository, quarantine, replace(publication, branch=branch))
    assert await desk.forge.branch_head(desk.repository, "main") == before
