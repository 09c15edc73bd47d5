"""What every forge does, the same."""

from __future__ import annotations

import asyncio

import pytest

from sandbox.forge import create, names
from sandbox.forge.protocol import ForgeError, ForgeRefused, ForgeRepository, HeadMoved, PullRequestRef
from tests.sandbox.forge.conftest import BRANCH, Site
from tests.sandbox.workbench import Workbench, git


async def opened(site: Site, *, draft: bool = False, by: str = "ada") -> PullRequestRef:
    return await site.forge.open_pull_request(
        site.repository,
        branch=BRANCH,
        base="main",
        title="Round to cents",
        body="As asked.",
        draft=draft,
        as_person=site.people[by],
    )


async def test_check_passes_on_a_forge_that_answers(site: Site) -> None:
    await site.forge.check()


async def test_permission_is_told_for_each_person(site: Site) -> None:
    asked = ("ada", "grace", "linus", "stranger")
    told = [await site.forge.permission(site.repository, login) for login in asked]
    assert told == ["admin", "write", "read", "none"]


async def test_mirror_follows_the_forge(site: Site) -> None:
    first = await site.forge.sync_mirror(site.repository)
    pushed = site.push_by_hand("main")
    second = await site.forge.sync_mirror(site.repository)
    assert first.path == second.path
    assert first.head_sha != second.head_sha == pushed
    assert git(second.path, "rev-parse", "HEAD") == pushed


async def test_mirror_drops_a_branch_that_is_gone(site: Site) -> None:
    site.push_by_hand("short-lived")
    mirror = await site.forge.sync_mirror(site.repository)
    assert "short-lived" in git(mirror.path, "branch", "--list")
    git(site.bare, "branch", "-D", "short-lived")
    await site.forge.sync_mirror(site.repository)
    assert "short-lived" not in git(mirror.path, "branch", "--list")


async def test_mirror_is_synced_by_many_at_once(site: Site) -> None:
    mirrors = await asyncio.gather(*(site.forge.sync_mirror(site.repository) for _ in range(4)))
    assert len({mirror.head_sha for mirror in mirrors}) == 1


async def test_mirror_of_a_missing_repository_is_refused(site: Site) -> None:
    missing = ForgeRepository("acme/missing", site.repository.url.replace("billing", "x") + "x", "main")
    with pytest.raises(ForgeRefused, match="acme/missing"):
        await site.forge.sync_mirror(missing)


async def test_mirror_says_when_the_default_branch_is_wrong(site: Site) -> None:
    wrong = ForgeRepository(site.repository.slug, site.repository.url, "trunk")
    with pytest.raises(ForgeRefused, match="trunk"):
        await site.forge.sync_mirror(wrong)


async def test_branch_head_of_a_branch_and_of_none(site: Site) -> None:
    assert await site.forge.branch_head(site.repository, "main") == git(site.bare, "rev-parse", "main")
    assert await site.forge.branch_head(site.repository, "nowhere") is None


async def test_publish_creates_a_branch_and_again_is_success(site: Site) -> None:
    quarantine, head, _ = await site.work()
    for _ in range(2):
        await site.forge.publish(site.repository, quarantine.path, head, BRANCH, None)
    assert await site.forge.branch_head(site.repository, BRANCH) == head


async def test_publish_moves_a_branch_from_where_it_was(site: Site) -> None:
    first = await site.published()
    quarantine, second, _ = await site.work("again", "print(2)\n")
    await site.forge.publish(site.repository, quarantine.path, second, BRANCH, first)
    assert await site.forge.branch_head(site.repository, BRANCH) == second


async def test_publish_refuses_to_run_over_someone_elses_push(site: Site) -> None:
    first = await site.published()
    theirs = site.push_by_hand(BRANCH)
    quarantine, second, _ = await site.work("again", "print(2)\n")
    with pytest.raises(HeadMoved) as moved:
        await site.forge.publish(site.repository, quarantine.path, second, BRANCH, first)
    assert moved.value.actual == theirs
    assert await site.forge.branch_head(site.repository, BRANCH) == theirs


@pytest.mark.parametrize("branch", ["--mirror", "a..b", "x.lock", "", "with space"])
async def test_publish_refuses_a_name_that_is_none(site: Site, branch: str) -> None:
    quarantine, head, _ = await site.work()
    with pytest.raises(ForgeError):
        await site.forge.publish(site.repository, quarantine.path, head, f"{branch}", None)


async def test_pull_request_is_opened_as_the_person(site: Site) -> None:
    head = await site.published()
    reference = await opened(site, by="grace")
    assert (reference.author, reference.state, reference.adopted) == ("grace", "open", False)
    assert (reference.branch, reference.base, reference.head_sha) == (BRANCH, "main", head)
    assert await site.forge.pull_request(site.repository, reference.number) == reference


async def test_pull_request_that_is_there_is_adopted(site: Site) -> None:
    await site.published()
    first = await opened(site, by="ada")
    second = await opened(site, by="grace")
    assert second.adopted
    assert (second.number, second.author) == (first.number, "ada")
    found = await site.forge.find_pull_request(site.repository, BRANCH)
    assert found == second


async def test_one_pull_request_however_many_ask(site: Site) -> None:
    await site.published()
    references = await asyncio.gather(*(opened(site) for _ in range(4)))
    assert len({reference.number for reference in references}) == 1
    assert sum(not reference.adopted for reference in references) == 1


async def test_draft_is_a_draft_and_is_not_merged(site: Site) -> None:
    await site.published()
    reference = await opened(site, draft=True)
    assert reference.state == "draft"
    with pytest.raises(ForgeRefused, match="draft"):
        await site.forge.merge(
            site.repository, reference.number, reference.head_sha, as_person=site.people["ada"], message="m"
        )


async def test_no_pull_request_is_found_where_there_is_none(site: Site) -> None:
    assert await site.forge.find_pull_request(site.repository, BRANCH) is None
    with pytest.raises(ForgeRefused):
        await site.forge.pull_request(site.repository, 99)


async def test_pull_request_of_an_unpublished_branch_is_refused(site: Site) -> None:
    with pytest.raises(ForgeRefused):
        await opened(site)


async def test_pull_request_without_commits_is_refused(site: Site) -> None:
    git(site.bare, "branch", BRANCH, "main")
    with pytest.raises(ForgeRefused, match="commits"):
        await opened(site)


async def test_merge_brings_the_change_into_the_base(site: Site) -> None:
    head = await site.published()
    reference = await opened(site)
    for _ in range(2):  # the second time it is merged already
        merged = await site.forge.merge(
            site.repository,
            reference.number,
            head,
            as_person=site.people["ada"],
            message="Round\n\nAs asked.",
        )
        assert (merged.state, merged.head_sha) == ("merged", head)
    assert git(site.bare, "show", "main:app.py") == "print(1)"
    assert git(site.bare, "log", "-1", "--format=%an %s|%b", "main") == "ada Round|As asked."
    assert await site.forge.find_pull_request(site.repository, BRANCH) is None


async def test_merge_keeps_what_came_to_the_base_meanwhile(site: Site) -> None:
    head = await site.published()
    reference = await opened(site)
    site.push_by_hand("main")
    await site.forge.merge(
        site.repository, reference.number, head, as_person=site.people["ada"], message="Round"
    )
    assert git(site.bare, "show", "main:by-hand.txt") == "by-hand"
    assert git(site.bare, "show", "main:app.py") == "print(1)"


async def test_merge_that_conflicts_is_refused_and_changes_nothing(site: Site) -> None:
    head = await site.published()
    reference = await opened(site)
    bench = Workbench.clone(site.bare, site.directory / "rival")
    theirs = bench.commit("Rival", {"app.py": "print('rival')\n"})
    git(bench.path, "push", "--quiet", str(site.bare), "HEAD:refs/heads/main")
    with pytest.raises(ForgeRefused):
        await site.forge.merge(
            site.repository, reference.number, head, as_person=site.people["ada"], message="Round"
        )
    assert git(site.bare, "rev-parse", "main") == theirs
    assert (await site.forge.pull_request(site.repository, reference.number)).state == "open"


async def test_compare_url_names_base_and_branch(site: Site) -> None:
    url = site.forge.compare_url(site.repository, "main", BRANCH)
    assert f"main...{BRANCH}" in url


async def test_forges_are_found_by_file(site: Site) -> None:
    assert names() == ["github", "local"]
    forge = create(site.forge.name, directory=site.directory, settings={})
    assert forge.name == site.forge.name
    assert forge.needs_credential == site.forge.needs_credential


@pytest.mark.parametrize("name", ["gitlab", "protocol", "../x", ""])
async def test_an_unknown_forge_is_named_in_the_error(site: Site, name: str) -> None:
    with pytest.raises(ForgeError, match="github, local"):
        create(name, directory=site.directory, settings={})


async def test_a_draft_of_our_own_is_opened_once_and_is_nobodys(site: Site) -> None:
    site.push_by_hand(BRANCH)

    async def drafted() -> PullRequestRef:
        return await site.forge.open_draft(
            site.repository, branch=BRANCH, base="main", title="Nightly repair", body="Found at night."
        )

    draft, again = await drafted(), await drafted()
    assert (draft.state, draft.adopted) == ("draft", False)
    assert draft.author not in site.people
    assert (again.number, again.adopted) == (draft.number, True)
