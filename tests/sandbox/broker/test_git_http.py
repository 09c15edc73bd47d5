"""git through the door: what a box can fetch, the push matrix, and what a hostile client gets."""

from __future__ import annotations

import gzip
import os
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from sandbox.broker.door.handlers import GitHandler
from sandbox.broker.git_exchange import FULL, UNSOUND
from sandbox.broker.git_http import origin_url
from sandbox.broker.git_packets import FLUSH, packet
from sandbox.broker.quarantine import Quarantine, references
from sandbox.forge.protocol import ForgeUnavailable
from sandbox.holds import refusal
from session.catalogue import Repository
from session.vocabulary import Hold
from tests.sandbox.broker.git_box import SLUG, GitBox, GitHouse, box_git, boxed, serving
from tests.sandbox.door.stage import stage
from tests.sandbox.workbench import Workbench, git

# Put together here so that no scanner takes this file for a leak.
GITHUB_TOKEN = "gh" + "p_" + "a1B2" * 9
FETCH_TYPE = {"Content-Type": "application/x-git-upload-pack-request", "Git-Protocol": "version=2"}
TOO_LARGE = "A push may have no more than 2.86 MB; push fewer or smaller files."
PUSH_TYPE = {"Content-Type": "application/x-git-receive-pack-request"}


@pytest.fixture
def house(tmp_path: Path) -> GitHouse:
    """A forge with one commit, and no quarantine yet."""
    return GitHouse.at(tmp_path)


@pytest.fixture
async def box(house: GitHouse) -> AsyncIterator[GitBox]:
    """A box that has cloned the repository."""
    async with boxed(house) as found:
        yield found


async def refused(box: GitBox, house: GitHouse, why: str, *arguments: str) -> None:
    """Push so, and see it refused for that reason with everything as it was."""
    before = await references(house.quarantine, "refs/")
    done = await box.git("push", *arguments)
    assert done.code != 0
    assert why in done.said
    assert await references(house.quarantine, "refs/") == before
    assert not list((house.quarantine / "objects").glob("tmp_objdir*"))


# Fetching


@pytest.mark.parametrize("version", ["0", "1", "2"])
async def test_a_clone_has_the_forges_branches_and_tags(house: GitHouse, version: str) -> None:
    git(house.origin, "tag", "--annotate", "--message", "One", "v1", "main")
    git(house.origin, "branch", "feature", "main")
    async with serving(house.handler()) as address:
        target = house.home / "copy"
        cloned = await box_git(
            house.home, "-c", f"protocol.version={version}", "clone", f"{address}/{SLUG}", str(target)
        )
    assert cloned.code == 0, cloned.said
    assert (target / "README.md").read_text() == "# Billing\n"
    assert git(target, "rev-parse", "--abbrev-ref", "HEAD") == "main"
    assert "origin/feature" in git(target, "branch", "--remotes")
    assert git(target, "tag") == "v1"


async def test_other_sessions_and_the_harness_are_not_shown(house: GitHouse, box: GitBox) -> None:
    for branch in ("bellhop/s2/theirs", "bellhop/s1/ours", "bellhop-tools"):
        git(house.origin, "branch", branch, "main")
    git(house.quarantine, "update-ref", "refs/bellhop/checkpoint", "main")
    for version in ("0", "2"):
        listed = await box.git("-c", f"protocol.version={version}", "ls-remote", "origin")
        names = {line.split("\t")[1] for line in listed.said.splitlines()}
        assert names == {
            "HEAD", "refs/heads/main", "refs/heads/bellhop-tools", "refs/heads/bellhop/s1/ours",
        }  # fmt: skip


async def test_a_push_is_not_told_what_else_there_is(house: GitHouse, box: GitBox) -> None:
    bench = Workbench.clone(house.origin, house.home / "colleague")
    secret = bench.commit("Theirs", {"theirs.txt": "1"})
    house.to_forge(bench, "bellhop/s2/theirs")
    await box.git("fetch")
    async with httpx.AsyncClient(timeout=60) as http:
        shown = await http.get(f"{box.url}/info/refs?service=git-receive-pack")
    assert git(house.quarantine, "rev-parse", "refs/heads/bellhop/s2/theirs") == secret
    assert secret not in shown.text
    assert ".have" not in shown.text


async def test_a_fetch_sees_what_came_to_the_forge(house: GitHouse, box: GitBox) -> None:
    bench = Workbench.clone(house.origin, house.home / "colleague")
    head = bench.commit("More", {"more.txt": "1"})
    house.to_forge(bench, "main")
    git(house.origin, "branch", "short-lived", "main")
    assert (await box.git("fetch")).code == 0
    assert git(box.bench.path, "rev-parse", "origin/main") == head
    git(house.origin, "branch", "--delete", "short-lived")
    git(house.origin, "branch", "short-lived/again", "main")
    assert (await box.git("fetch", "--prune")).code == 0
    assert git(box.bench.path, "branch", "--remotes", "--list", "*short*") == "origin/short-lived/again"


async def test_the_forge_is_asked_once_in_a_while(house: GitHouse) -> None:
    house.refresh_seconds = 3600
    async with boxed(house) as box:
        for _ in range(3):
            assert (await box.git("fetch")).code == 0
    assert house.refreshes == 1


async def test_a_shallow_clone_and_its_deepening(house: GitHouse) -> None:
    bench = Workbench.clone(house.origin, house.home / "colleague")
    bench.commit("Two", {"a.txt": "2"})
    house.to_forge(bench, "main")
    async with serving(house.handler()) as address:
        target = house.home / "shallow"
        await box_git(house.home, "clone", "--depth", "1", f"{address}/{SLUG}.git", str(target))
        assert git(target, "rev-list", "--count", "HEAD") == "1"
        deepened = await box_git(target, "fetch", "--unshallow")
    assert deepened.code == 0
    assert git(target, "rev-list", "--count", "HEAD") == "2"


async def test_a_large_negotiation_comes_packed(house: GitHouse, box: GitBox) -> None:
    for number in range(40):
        box.bench.commit(f"{number}", {"a.txt": f"{number}"})
    bench = Workbench.clone(house.origin, house.home / "colleague")
    head = bench.commit("Theirs", {"b.txt": "1"})
    house.to_forge(bench, "main")
    fetched = await box.git("-c", "protocol.version=0", "fetch")
    assert fetched.code == 0, fetched.said
    assert git(box.bench.path, "rev-parse", "origin/main") == head


@pytest.mark.parametrize("version", ["version=2", ""])
async def test_an_object_that_is_not_shown_is_not_given(house: GitHouse, box: GitBox, version: str) -> None:
    bench = Workbench.clone(house.origin, house.home / "colleague")
    hidden = bench.commit("Theirs", {"theirs.txt": "theirs"})
    blob = git(bench.path, "rev-parse", "HEAD:theirs.txt")
    house.to_forge(bench, "bellhop/s2/theirs")
    await box.git("fetch")
    assert git(house.quarantine, "cat-file", "-t", hidden) == "commit"
    async with httpx.AsyncClient(timeout=60) as http:
        for wanted in (hidden, blob):
            if version:
                asked = packet(b"command=fetch") + b"0001" + packet(f"want {wanted}\n".encode())
            else:
                asked = packet(f"want {wanted}\n".encode()) + FLUSH
            body = asked + packet(b"done\n") + (FLUSH if version else b"")
            headers = {**FETCH_TYPE, "Git-Protocol": version}
            answer = await http.post(f"{box.url}/git-upload-pack", content=body, headers=headers)
            assert b"PACK" not in answer.content
            assert b"not our ref" in answer.content


async def test_what_is_in_shown_history_is_given(house: GitHouse, box: GitBox) -> None:
    old = git(house.origin, "rev-parse", "main")
    bench = Workbench.clone(house.origin, house.home / "colleague")
    bench.commit("More", {"more.txt": "1"})
    house.to_forge(bench, "main")
    await box.git("fetch")
    empty = house.home / "empty"
    empty.mkdir()
    git(empty, "init", "--quiet")
    assert (await box_git(empty, "fetch", box.url, old)).code == 0


# Pushing: the matrix


async def test_the_own_branch_is_taken_and_kept(house: GitHouse, box: GitBox) -> None:
    head = box.bench.commit("Work", {"a.txt": "1"})
    done = await box.push()
    assert done.code == 0, done.said
    assert "remote: bellhop: Kept in quarantine." in done.said
    assert await house.pushed() == {"s1/work": head}
    assert git(house.origin, "for-each-ref", "--format=%(refname)") == "refs/heads/main"


async def test_another_sessions_branch_is_refused(house: GitHouse, box: GitBox) -> None:
    box.bench.commit("Work", {"a.txt": "1"})
    why = "refs/heads/bellhop/s2/work is not this session's; push to bellhop/s1/<name> instead."
    await refused(box, house, why, "origin", "HEAD:refs/heads/bellhop/s2/work")
    assert house.told == []


@pytest.mark.parametrize(
    "name", ["refs/heads/main", "refs/heads/bellhop/s1", "refs/heads/bellhop/s1x/a", "refs/bellhop/head"]
)
async def test_main_and_other_refs_are_refused(house: GitHouse, box: GitBox, name: str) -> None:
    box.bench.commit("Work", {"a.txt": "1"})
    await refused(box, house, "is not this session's", "origin", f"HEAD:{name}")


async def test_a_deletion_is_refused(house: GitHouse, box: GitBox) -> None:
    box.bench.commit("Work", {"a.txt": "1"})
    await box.push()
    await refused(box, house, "cannot be deleted", "origin", ":refs/heads/bellhop/s1/work")
    await refused(box, house, "is not this session's", "origin", ":refs/heads/main")


async def test_a_tag_is_refused(house: GitHouse, box: GitBox) -> None:
    git(box.bench.path, "tag", "v9")
    await refused(box, house, "refs/tags/v9 is not this session's", "origin", "v9")


async def test_the_own_branch_may_be_rewritten(house: GitHouse, box: GitBox) -> None:
    box.bench.commit("Work", {"a.txt": "1"})
    await box.push()
    git(box.bench.path, "reset", "--quiet", "--hard", "origin/main")
    head = box.bench.commit("Again", {"a.txt": "2"})
    assert (await box.push()).code != 0
    assert (await box.push("bellhop/s1/work", "--force")).code == 0
    assert await house.pushed() == {"s1/work": head}


async def test_another_branch_may_not_be_rewritten(house: GitHouse, box: GitBox) -> None:
    colleague = Workbench.clone(house.origin, house.home / "colleague")
    colleague.commit("Theirs", {"b.txt": "1"})
    for branch in ("main", "bellhop/s2/theirs"):
        house.to_forge(colleague, branch)
    await box.git("fetch")
    box.bench.commit("Work", {"a.txt": "1"})
    for branch in ("main", "bellhop/s2/theirs"):
        await refused(box, house, "not this session's", "--force", "origin", f"HEAD:refs/heads/{branch}")


async def test_a_secret_is_refused(house: GitHouse, box: GitBox) -> None:
    guilty = box.bench.commit("Work", {"a.txt": GITHUB_TOKEN})
    why = f"remote: bellhop: a.txt in commit {guilty[:12]} must not leave: looks like a GitHub token"
    await refused(box, house, why, "origin", "HEAD:refs/heads/bellhop/s1/work")
    refusal = await box.push()
    assert GITHUB_TOKEN not in refusal.said
    assert "Rewrite these commits" in refusal.said
    what = "holds what looks like a GitHub token"
    assert house.told == [Hold(kind="secret", what=what, path="a.txt", commit=guilty)] * 2
    assert not list((house.home / "hooks").glob("report-*"))


async def test_a_secret_removed_later_is_refused(house: GitHouse, box: GitBox) -> None:
    guilty = box.bench.commit("Add", {"a.txt": GITHUB_TOKEN})
    box.bench.commit("Remove", {"a.txt": None})
    why = f"a.txt in commit {guilty[:12]} must not leave"
    await refused(box, house, why, "origin", "HEAD:refs/heads/bellhop/s1/work")


async def test_what_the_harness_took_over_is_looked_at_again(house: GitHouse, box: GitBox) -> None:
    box.bench.commit("Work", {"a.txt": GITHUB_TOKEN})
    bundle = box.bench.bundle(house.home / "b")
    await Quarantine(house.quarantine, house.limits).receive_bundle(bundle)
    await refused(box, house, "must not leave", "origin", "HEAD:refs/heads/bellhop/s1/work")


async def test_a_big_file_is_refused(house: GitHouse, box: GitBox) -> None:
    box.bench.commit("Work", {"big.bin": b"x" * 100_001})
    await refused(box, house, "big.bin", "origin", "HEAD:refs/heads/bellhop/s1/work")


async def test_a_link_out_of_the_tree_is_refused(house: GitHouse, box: GitBox) -> None:
    (box.bench.path / "link").symlink_to("/etc/passwd")
    box.bench.commit_all("Link")
    await refused(box, house, "points to /etc/passwd", "origin", "HEAD:refs/heads/bellhop/s1/work")


async def test_a_submodule_is_refused(house: GitHouse, box: GitBox) -> None:
    git(box.bench.path, "update-index", "--add", "--cacheinfo", f"160000,{box.bench.head()},vendor/lib")
    git(box.bench.path, "commit", "--quiet", "--message", "Submodule")
    await refused(box, house, "a submodule is changed", "origin", "HEAD:refs/heads/bellhop/s1/work")


@pytest.mark.parametrize("path", [".github/workflows/ci.yml", ".gitattributes", "infra/main.tf"])
async def test_a_protected_path_is_taken_and_said_to_need_approval(house: GitHouse, path: str) -> None:
    house.repository = house.repository.model_copy(update={"protected_paths": ("/infra/",)})
    async with boxed(house) as box:
        head = box.bench.commit("Work", {path: "x\n"})
        done = await box.push()
    assert done.code == 0, done.said
    assert f"Changes that a person must approve: {path}." in done.said
    assert await house.pushed() == {"s1/work": head}


async def test_what_fsck_refuses_is_refused(house: GitHouse, box: GitBox) -> None:
    path = box.bench.path
    blob = git(path, "hash-object", "-w", "--stdin", stdin=b"x")
    inner = git(path, "mktree", stdin=f"100644 blob {blob}\tconfig\n".encode())
    tree = git(path, "mktree", stdin=f"040000 tree {inner}\t.git\n".encode())
    commit = git(path, "commit-tree", tree, "-p", "HEAD", "-m", "A tree with .git in it")
    await refused(box, house, "hasDotgit", "origin", f"{commit}:refs/heads/bellhop/s1/work")
    assert house.told == [refusal("handover", UNSOUND)]


# Pushing: limits and what stays


async def test_a_push_over_the_cap_is_refused(house: GitHouse, box: GitBox) -> None:
    box.bench.commit("Big", {f"{number}.bin": os.urandom(90_000) for number in range(40)})
    await refused(box, house, "maximum allowed size", "origin", "HEAD:refs/heads/bellhop/s1/work")
    assert house.told == [refusal("handover", TOO_LARGE)]


async def test_a_push_far_over_the_cap_is_told_so(house: GitHouse, box: GitBox) -> None:
    box.bench.commit("Big", {f"{number}.bin": os.urandom(90_000) for number in range(60)})
    await refused(box, house, TOO_LARGE, "origin", "HEAD:refs/heads/bellhop/s1/work")
    assert house.told == [refusal("handover", TOO_LARGE)]


async def test_too_many_commits_are_refused(house: GitHouse, box: GitBox) -> None:
    for number in range(21):
        box.bench.commit(f"{number}", {})
    await refused(box, house, "More than 20 new commits", "origin", "HEAD:refs/heads/bellhop/s1/work")
    assert [hold.what for hold in house.told] == [
        "A push has more than 20 new commits; squash them, or build on the base."
    ]


async def test_a_full_quarantine_takes_no_more(house: GitHouse, box: GitBox) -> None:
    for number in range(4):
        box.bench.commit("Big", {f"{number}-{part}.bin": os.urandom(90_000) for part in range(30)})
        done = await box.push()
    assert "pushed more than is kept" in done.said
    assert house.told[-1] == refusal("handover", FULL)
    assert done.code != 0


async def test_pushed_work_survives_a_refresh_and_is_new_to_the_forge(house: GitHouse, box: GitBox) -> None:
    head = box.bench.commit("Work", {"a.txt": "1"})
    await box.push()
    assert (await box.git("fetch")).code == 0
    assert await house.pushed() == {"s1/work": head}
    taken = await Quarantine(house.quarantine, house.limits).receive_bundle(
        box.bench.bundle(house.home / "b")
    )
    assert taken.commits == (head,)


async def test_the_own_branch_follows_the_forge_forward_only(house: GitHouse, box: GitBox) -> None:
    first = box.bench.commit("Work", {"a.txt": "1"})
    house.to_forge(box.bench, "bellhop/s1/work")
    await box.git("fetch")
    assert await house.pushed() == {"s1/work": first}
    pushed = box.bench.commit("More", {"a.txt": "2"})
    await box.push()
    await box.git("fetch")
    assert await house.pushed() == {"s1/work": pushed}
    colleague = Workbench.clone(house.origin, house.home / "colleague")
    git(colleague.path, "checkout", "--quiet", "bellhop/s1/work")
    aside = colleague.commit("Aside", {"b.txt": "1"})
    house.to_forge(colleague, "bellhop/s1/work")
    await box.git("fetch")
    assert await house.pushed() == {"s1/work": pushed}
    git(colleague.path, "fetch", "--quiet", str(box.bench.path))
    git(colleague.path, "merge", "--quiet", "--no-edit", pushed)
    house.to_forge(colleague, "bellhop/s1/work")
    await box.git("fetch")
    assert await house.pushed() == {"s1/work": colleague.head()}
    assert aside in git(house.quarantine, "rev-list", (await house.pushed())["s1/work"])


async def test_without_its_hook_no_push_is_taken(house: GitHouse, box: GitBox) -> None:
    box.bench.commit("Work", {"a.txt": "1"})
    (house.home / "hooks").mkdir(exist_ok=True)
    (house.home / "hooks" / "pre-receive").mkdir()
    assert (await box.push()).code != 0
    assert await house.pushed() == {}


# The addresses, and what is not git


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("https://github.example/Acme/Web", "https://github.example/Acme/Web"),
        ("https://user:pw@github.example:8443/acme/web.git/", "https://github.example:8443/acme/web.git"),
        ("https://github.example:443/acme/web", "https://github.example/acme/web"),
        ("/srv/git/web.git", "https://git.bellhop.internal/acme/web.git"),
        ("git@github.example:acme/web.git", "https://git.bellhop.internal/acme/web.git"),
    ],
)
def test_the_address_in_the_box(url: str, address: str) -> None:
    assert origin_url(Repository(slug="acme/web", forge="github", url=url)) == address


@pytest.mark.parametrize(
    ("rest", "served"),
    [
        (f"/{SLUG}.git/info/refs", True),
        (f"/{SLUG}/git-upload-pack", True),
        ("/Acme/Billing.git/git-receive-pack", True),
        ("/acme/other/info/refs", True),
        (f"/{SLUG}/archive/main.zip", False),
        (f"/{SLUG}2/info/refs", False),
        ("/acme/unknown/info/refs", False),
    ],
)
def test_only_gits_addresses_are_served(house: GitHouse, rest: str, served: bool) -> None:
    assert house.handler().serves("s1", f"https://git.bellhop.internal{rest}") is served
    assert not house.handler().serves("s1", f"https://github.example{rest}")


async def test_another_repository_is_refused(house: GitHouse) -> None:
    async with serving(house.handler()) as address:
        done = await box_git(house.home, "ls-remote", f"{address}/acme/other.git")
    assert done.code != 0
    assert f"remote: This session works in {SLUG}; no other is served to it." in done.said


async def test_a_forge_that_is_away_is_said_to_be(house: GitHouse) -> None:
    house.failing = ForgeUnavailable("Fetching acme/billing failed: no answer.")
    async with serving(house.handler()) as address:
        done = await box_git(house.home, "ls-remote", f"{address}/{SLUG}.git")
    assert "remote: The repository cannot be served now: Fetching acme/billing failed" in done.said


@pytest.mark.parametrize(
    ("method", "path", "headers", "content", "status"),
    [
        ("GET", "/info/refs", {}, b"", 403),
        ("GET", "/info/refs?service=git-upload-archive", {}, b"", 403),
        ("GET", "/HEAD", {}, b"", 403),
        ("GET", "/objects/info/packs", {}, b"", 403),
        ("POST", "/info/refs?service=git-upload-pack", {}, b"", 403),
        ("POST", "/git-upload-pack", {}, b"", 415),
        ("POST", "/git-upload-pack", FETCH_TYPE, b"nonsense", 400),
        ("POST", "/git-upload-pack", FETCH_TYPE, b"00ff", 400),
        ("POST", "/git-upload-pack", FETCH_TYPE, packet(b"command=object-info"), 400),
        ("POST", "/git-upload-pack", FETCH_TYPE, packet(b"agent=x") + packet(b"command=fetch"), 400),
        ("POST", "/git-upload-pack", {**FETCH_TYPE, "Content-Encoding": "gzip"}, b"no gzip", 400),
        ("POST", "/git-upload-pack", {**FETCH_TYPE, "Content-Encoding": "br"}, b"x", 400),
    ],
)
async def test_what_is_not_git_is_refused_with_a_sentence(
    house: GitHouse, method: str, path: str, headers: dict[str, str], content: bytes, status: int
) -> None:
    async with serving(house.handler()) as address, httpx.AsyncClient(timeout=60) as http:
        answer = await http.request(method, f"{address}/{SLUG}{path}", headers=headers, content=content)
    assert answer.status_code == status
    assert answer.text.endswith(".\n")


async def test_a_request_that_unpacks_to_too_much_is_refused(house: GitHouse, box: GitBox) -> None:
    bomb = gzip.compress(b"0" * 9_000_000)
    async with httpx.AsyncClient(timeout=60) as http:
        answer = await http.post(
            f"{box.url}/git-upload-pack", content=bomb, headers={**FETCH_TYPE, "Content-Encoding": "gzip"}
        )
    assert (answer.status_code, "larger than" in answer.text) == (400, True)


async def test_a_damaged_push_is_answered(house: GitHouse, box: GitBox) -> None:
    head = box.bench.commit("Work", {"a.txt": "1"})
    command = f"{'0' * 40} {head} refs/heads/bellhop/s1/work\0report-status side-band-64k"
    body = packet(command.encode()) + FLUSH + b"PACK\0\0\0\2"
    async with httpx.AsyncClient(timeout=60) as http:
        answer = await http.post(f"{box.url}/git-receive-pack", content=body, headers=PUSH_TYPE)
        nothing = await http.post(f"{box.url}/git-receive-pack", content=FLUSH, headers=PUSH_TYPE)
        junk = await http.post(f"{box.url}/git-receive-pack", content=b"junk", headers=PUSH_TYPE)
    assert b"unpack" in answer.content
    assert (nothing.status_code, nothing.content) == (200, b"")
    assert b"The push was not taken" in junk.content
    assert await house.pushed() == {}


async def test_a_box_works_through_its_real_door(house: GitHouse) -> None:
    async with stage(lambda port: ["forge"], git=house.handler()) as s:
        outside = {
            "HTTPS_PROXY": f"http://127.0.0.1:{s.proxy_port}",
            "GIT_SSL_CAINFO": str(s.directory / "authority.pem"),
        }
        target = house.home / "workspace"
        url = f"https://git.bellhop.internal/{SLUG}.git"
        cloned = await box_git(house.home, "clone", "--quiet", url, str(target), variables=outside)
        assert cloned.code == 0, cloned.said
        bench = Workbench(target)
        head = bench.commit("Work", {f"{number}.bin": os.urandom(90_000) for number in range(25)})
        branch = "HEAD:refs/heads/bellhop/s1/work"
        pushed = await box_git(target, "push", "origin", branch, variables=outside)
        assert "Kept in quarantine." in pushed.said
        bench.commit("Guilty", {"a.txt": GITHUB_TOKEN})
        refusal = await box_git(target, "push", "origin", branch, variables=outside)
        assert "must not leave: looks like a GitHub token" in refusal.said
        bench.commit("Large", {f"{number}.bin": os.urandom(90_000) for number in range(60)})
        large = await box_git(target, "push", "origin", branch, variables=outside)
        assert "push fewer or smaller files" in large.said
        elsewhere = await box_git(target, "ls-remote", f"{url}x", variables=outside)
        assert elsewhere.code != 0
    assert await house.pushed() == {"s1/work": head}


def test_it_is_a_handler_of_the_door(house: GitHouse) -> None:
    handler: GitHandler = house.handler()
    assert handler.serves("s1", f"https://git.bellhop.internal/{SLUG}/info/refs")
