"""What is GitHub's own: tokens and their scope, and bad days."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from aiohttp import web

from sandbox.broker.git import clean_environment
from sandbox.forge import create
from sandbox.forge.github import GitHubForge
from sandbox.forge.github_api import GitHubApi, Patience
from sandbox.forge.github_tokens import GitHubApp, InstallationTokens
from sandbox.forge.protocol import (
    Credential,
    ForgeError,
    ForgeRefused,
    ForgeRepository,
    ForgeUnavailable,
    HeadMoved,
    NotLinked,
    PullRequestRef,
)
from tests.emulators.github import GitHubEmulator
from tests.emulators.github.emulator import new_keys
from tests.sandbox.forge.conftest import BRANCH, QUICK, SLUG, Site
from tests.sandbox.workbench import git

pytestmark = pytest.mark.needs("npm")

PULLS = f"/repos/{SLUG}/pulls"
TOKENS = "/app/installations/*/access_tokens"
MERGE = f"{PULLS}/1/merge"


async def opened(site: Site, person: Credential | None) -> PullRequestRef:
    return await site.forge.open_pull_request(
        site.repository, branch=BRANCH, base="main", title="T", body="B", draft=False, as_person=person
    )


async def merged(site: Site, reference: PullRequestRef) -> PullRequestRef:
    return await site.forge.merge(
        site.repository, reference.number, reference.head_sha, as_person=site.people["ada"], message="M"
    )


def asked(github: GitHubEmulator, method: str, path: str) -> int:
    return sum((request.method, request.path) == (method, path) for request in github.requests)


def tokens_created(github: GitHubEmulator) -> list[dict[str, object]]:
    return [request.body for request in github.requests if request.path.endswith("/access_tokens")]


async def test_tokens_are_for_one_repository_with_least_permissions(
    github: GitHubEmulator, github_site: Site
) -> None:
    await github_site.published()
    bodies = tokens_created(github)
    assert [body["repositories"] for body in bodies] == [["billing"], ["billing"]]
    assert [body["permissions"] for body in bodies] == [
        {"metadata": "read", "contents": "read", "pull_requests": "read"},
        {"metadata": "read", "contents": "write"},
    ]


async def test_a_token_is_used_again_until_fifty_minutes(github: GitHubEmulator) -> None:
    time = 0.0
    app = GitHubApp(str(github.app.id), github.app.private_key)
    tokens = InstallationTokens(GitHubApi(github.api_url, QUICK), app, clock=lambda: time)
    repository = ForgeRepository(SLUG, github.clone_url(SLUG), "main")
    first = await tokens.token(repository, "read")
    time = 49 * 60.0
    assert await tokens.token(repository, "read") == first
    time = 50 * 60.0
    assert await tokens.token(repository, "read") != first


async def test_a_token_that_stopped_working_is_replaced(github: GitHubEmulator, github_site: Site) -> None:
    await github_site.forge.sync_mirror(github_site.repository)
    await github_site.forge.permission(github_site.repository, "ada")
    github.revoke_tokens()
    assert await github_site.forge.permission(github_site.repository, "ada") == "admin"
    github.revoke_tokens()
    await github_site.forge.sync_mirror(github_site.repository)


async def test_no_token_is_left_on_disk(github: GitHubEmulator, github_site: Site) -> None:
    mirror = await github_site.forge.sync_mirror(github_site.repository)
    tokens = [token.value for token in github.world.tokens.values()]
    written = b"".join(path.read_bytes() for path in mirror.path.rglob("*") if path.is_file())
    assert tokens
    assert not any(token.encode() in written for token in tokens)


def test_git_sees_nothing_of_the_environment_but_what_it_needs() -> None:
    environment = clean_environment({"a.b": "secret"})
    assert "secret" in environment.values()
    assert set(environment) - {"PATH", "HOME", "LC_ALL"} == {
        name for name in environment if name.startswith("GIT_")
    }
    assert environment["HOME"] != os.environ.get("HOME")


async def test_a_credential_in_the_catalogue_is_refused(github_site: Site) -> None:
    address = github_site.repository.url.replace("http://", "http://ada:secret@")
    with pytest.raises(ForgeError, match="holds a credential") as refused:
        await github_site.forge.sync_mirror(ForgeRepository(SLUG, address, "main"))
    assert "secret" not in str(refused.value)


async def test_a_repository_without_the_app_is_refused(
    github: GitHubEmulator, github_site: Site, origin: Path
) -> None:
    await github.add_repository("acme/other", origin, installed=False)
    repository = ForgeRepository("acme/other", github.clone_url("acme/other"), "main")
    with pytest.raises(ForgeRefused, match="acme/other") as refused:
        await github_site.forge.sync_mirror(repository)
    assert refused.value.status == 404


async def test_a_wrong_key_is_told_by_check(github: GitHubEmulator, tmp_path: Path, other_key: str) -> None:
    forge = GitHubForge(
        tmp_path,
        api_url=github.api_url,
        web_url=github.web_url,
        app=GitHubApp(str(github.app.id), other_key),
        patience=QUICK,
    )
    with pytest.raises(ForgeRefused, match="401"):
        await forge.check()


@pytest.fixture(scope="module")
def other_key() -> str:
    return new_keys()[0]


async def test_without_an_app_public_repositories_are_read_and_nothing_is_published(
    github: GitHubEmulator, tmp_path: Path, origin: Path
) -> None:
    await github.add_repository("acme/open", origin, private=False)
    settings = {"GITHUB_API_URL": github.api_url, "GITHUB_URL": github.web_url}
    forge = create("github", directory=tmp_path / "anonymous", settings=settings)
    await forge.check()
    repository = ForgeRepository("acme/open", github.clone_url("acme/open"), "main")
    mirror = await forge.sync_mirror(repository)
    with pytest.raises(ForgeError, match="GITHUB_APP_ID"):
        await forge.publish(repository, mirror.path, mirror.head_sha, BRANCH, None)
    private = ForgeRepository(SLUG, github.clone_url(SLUG), "main")
    with pytest.raises(ForgeRefused):
        await forge.sync_mirror(private)


def test_half_an_app_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ForgeError, match="GITHUB_APP_PRIVATE_KEY"):
        create("github", directory=tmp_path, settings={"GITHUB_APP_ID": "1"})


async def test_an_unlinked_person_opens_and_merges_nothing(github: GitHubEmulator, github_site: Site) -> None:
    head = await github_site.published()
    with pytest.raises(NotLinked):
        await opened(github_site, None)
    with pytest.raises(NotLinked):
        await github_site.forge.merge(github_site.repository, 1, head, as_person=None, message="m")
    assert asked(github, "POST", PULLS) == 0
    url = github_site.forge.compare_url(github_site.repository, "main", BRANCH)
    assert url == f"{github.web_url}/{SLUG}/compare/main...{BRANCH}?expand=1"


async def test_a_person_without_write_access_is_refused(github_site: Site) -> None:
    await github_site.published()
    with pytest.raises(ForgeRefused) as refused:
        await opened(github_site, github_site.people["linus"])
    assert refused.value.status == 403


async def test_a_persons_revoked_token_is_told_as_401(github: GitHubEmulator, github_site: Site) -> None:
    await github_site.published()
    github.revoke_tokens(login="ada")
    with pytest.raises(ForgeRefused) as refused:
        await opened(github_site, github_site.people["ada"])
    assert refused.value.status == 401


async def test_a_pull_request_opened_on_the_page_is_adopted(
    github: GitHubEmulator, github_site: Site
) -> None:
    await github_site.published()
    await github.open(SLUG, "grace", branch=BRANCH)
    reference = await opened(github_site, github_site.people["ada"])
    assert (reference.number, reference.author, reference.adopted) == (1, "grace", True)
    assert asked(github, "POST", PULLS) == 0


@pytest.mark.parametrize("how", ["server_error", "cut"])
async def test_an_answer_lost_after_opening_does_not_open_twice(
    github: GitHubEmulator, github_site: Site, how: str
) -> None:
    await github_site.published()
    getattr(github.faults, how)("POST", PULLS, when="after")
    reference = await opened(github_site, github_site.people["ada"])
    assert (reference.number, reference.author, reference.adopted) == (1, "ada", False)
    assert asked(github, "POST", PULLS) == 1
    assert list(github.repository(SLUG).pulls) == [1]


async def test_a_server_error_before_opening_is_tried_again(
    github: GitHubEmulator, github_site: Site
) -> None:
    await github_site.published()
    github.faults.server_error("POST", PULLS, times=2)
    assert (await opened(github_site, github_site.people["ada"])).number == 1
    assert asked(github, "POST", PULLS) == 3


async def test_patience_ends(github: GitHubEmulator, github_site: Site) -> None:
    await github_site.published()
    github.faults.server_error("GET", PULLS, status=503, times=3)
    with pytest.raises(ForgeUnavailable, match="503"):
        await opened(github_site, github_site.people["ada"])


async def test_a_rate_limit_is_waited_for(github: GitHubEmulator, github_site: Site) -> None:
    await github_site.published()
    github.faults.slow_down("GET", PULLS, retry_after=1)
    github.faults.secondary_limit("POST", PULLS, retry_after=0)
    assert (await opened(github_site, github_site.people["ada"])).number == 1


async def test_a_long_rate_limit_is_told_instead_of_waited_for(
    github: GitHubEmulator, github_site: Site
) -> None:
    await github_site.forge.permission(github_site.repository, "ada")
    github.faults.slow_down("GET", f"/repos/{SLUG}/collaborators/ada/permission", retry_after=900)
    with pytest.raises(ForgeUnavailable, match="rate limit") as unavailable:
        await github_site.forge.permission(github_site.repository, "ada")
    assert unavailable.value.retry_after_seconds == pytest.approx(900, abs=2)


async def test_a_forge_that_is_down_is_unavailable(tmp_path: Path) -> None:
    forge = GitHubForge(
        tmp_path,
        api_url="http://127.0.0.1:1/api/v3",
        web_url="http://127.0.0.1:1",
        app=None,
        patience=Patience(attempts=2, first_wait_seconds=0.01),
    )
    repository = ForgeRepository(SLUG, f"http://127.0.0.1:1/{SLUG}.git", "main")
    with pytest.raises(ForgeUnavailable):
        await forge.check()
    with pytest.raises(ForgeUnavailable):
        await forge.sync_mirror(repository)


async def test_a_push_whose_answer_is_lost_counts_as_done(github: GitHubEmulator, github_site: Site) -> None:
    github.faults.server_error("POST", f"/{SLUG}.git/git-receive-pack", when="after")
    head = await github_site.published()
    assert await github.branch_head(SLUG, BRANCH) == head


async def test_a_merge_whose_answer_is_lost_is_not_made_twice(
    github: GitHubEmulator, github_site: Site
) -> None:
    await github_site.published()
    reference = await opened(github_site, github_site.people["ada"])
    github.faults.server_error("PUT", MERGE, when="after")
    assert (await merged(github_site, reference)).state == "merged"
    assert asked(github, "PUT", MERGE) == 1


async def test_a_merge_is_only_of_the_approved_commit(github: GitHubEmulator, github_site: Site) -> None:
    await github_site.published()
    reference = await opened(github_site, github_site.people["ada"])
    quarantine, second, _ = await github_site.work("more", "print(2)\n")
    await github_site.forge.publish(
        github_site.repository, quarantine.path, second, BRANCH, reference.head_sha
    )
    with pytest.raises(HeadMoved) as moved:
        await merged(github_site, reference)
    assert moved.value.actual == second
    assert asked(github, "PUT", MERGE) == 0


async def test_githubs_own_rules_stay_in_force(github: GitHubEmulator, github_site: Site) -> None:
    github.repository(SLUG).required_approvals = 1
    await github_site.published()
    reference = await opened(github_site, github_site.people["ada"])
    with pytest.raises(ForgeRefused, match="approving review"):
        await merged(github_site, reference)
    await github.review(SLUG, 1, "grace")
    assert (await merged(github_site, reference)).state == "merged"
    assert git(github_site.bare, "show", "main:app.py") == "print(1)"


async def test_merged_and_closed_on_the_page_are_seen(github: GitHubEmulator, github_site: Site) -> None:
    await github_site.published()
    reference = await opened(github_site, github_site.people["ada"])
    await github.close(SLUG, reference.number, "grace")
    assert (await github_site.forge.pull_request(github_site.repository, 1)).state == "closed"
    again = await opened(github_site, github_site.people["ada"])
    assert (again.number, again.adopted) == (2, False)
    await github.merge(SLUG, 2, "grace")
    assert (await github_site.forge.pull_request(github_site.repository, 2)).state == "merged"


async def test_an_answer_that_makes_no_sense_is_told_without_its_content(tmp_path: Path) -> None:
    async def nonsense(request: web.Request) -> web.Response:
        return web.Response(text="<p>ghs_not-for-eyes</p>", content_type="text/html")

    application = web.Application()
    application.router.add_get("/{path:.*}", nonsense)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        address = "http://{}:{}".format(*runner.addresses[0][:2])
        forge = GitHubForge(tmp_path, api_url=address, web_url=address, app=None, patience=QUICK)
        with pytest.raises(ForgeUnavailable, match="cannot be read") as unavailable:
            await forge.check()
        assert "not-for-eyes" not in str(unavailable.value)
    finally:
        await runner.cleanup()
