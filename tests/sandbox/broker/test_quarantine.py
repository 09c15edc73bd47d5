"""What the quarantine takes in and what it does not."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from sandbox.broker.quarantine import Quarantine, QuarantineRefused, make_bundle, references
from tests.sandbox.workbench import Workbench, git


async def received_references(quarantine: Quarantine) -> dict[str, str]:
    return await references(quarantine.path, "refs/bellhop/")


async def test_work_is_taken_in(quarantine: Quarantine, box: Workbench, tmp_path: Path) -> None:
    first = box.commit("One", {"a.txt": "1"})
    second = box.commit("Two", {"a.txt": "2"})
    received = await quarantine.receive_bundle(box.bundle(tmp_path / "b"))
    assert received.commits == (first, second)
    assert received.references == {"refs/bellhop/work": second}
    assert received.findings == ()
    assert await received_references(quarantine) == {"refs/bellhop/work": second}
    assert await references(quarantine.path, "refs/incoming/") == {}


async def test_bytes_are_as_good_as_a_file(quarantine: Quarantine, box: Workbench, tmp_path: Path) -> None:
    head = box.commit("One", {"a.txt": "1"})
    received = await quarantine.receive_bundle(box.bundle(tmp_path / "b").read_bytes())
    assert received.commits == (head,)


async def test_only_what_is_new_is_told(quarantine: Quarantine, box: Workbench, tmp_path: Path) -> None:
    box.commit("One", {"a.txt": "1"})
    bundle = box.bundle(tmp_path / "b")
    await quarantine.receive_bundle(bundle)
    assert (await quarantine.receive_bundle(bundle)).commits == ()
    second = box.commit("Two", {"a.txt": "2"})
    assert (await quarantine.receive_bundle(box.bundle(tmp_path / "b"))).commits == (second,)


async def test_a_session_may_rewrite_its_own_work(
    quarantine: Quarantine, box: Workbench, tmp_path: Path
) -> None:
    box.commit("One", {"a.txt": "1"})
    await quarantine.receive_bundle(box.bundle(tmp_path / "b"))
    git(box.path, "reset", "--quiet", "--hard", "origin/main")
    other = box.commit("Other", {"b.txt": "1"})
    await quarantine.receive_bundle(box.bundle(tmp_path / "b"))
    assert await received_references(quarantine) == {"refs/bellhop/work": other}


async def test_objects_are_borrowed_from_the_mirror(quarantine: Quarantine) -> None:
    assert git(quarantine.path, "count-objects") == "0 objects, 0 kilobytes"
    assert git(quarantine.path, "show", "main:README.md") == "# Billing"


async def test_creating_again_keeps_the_work_and_follows_the_mirror(
    quarantine: Quarantine, box: Workbench, mirror: Path, tmp_path: Path
) -> None:
    head = box.commit("One", {"a.txt": "1"})
    await quarantine.receive_bundle(box.bundle(tmp_path / "b"))
    git(box.path, "push", "--quiet", str(mirror), "HEAD:main")
    again = await Quarantine.create(quarantine.path, mirror)
    assert await again.resolve("refs/heads/main") == head
    assert await received_references(again) == {"refs/bellhop/work": head}
    assert await again.resolve("refs/heads/none") is None


@pytest.mark.parametrize(
    "reference", ["refs/heads/main", "refs/tags/v1", "refs/bellhopper/x", "refs/notes/bellhop", "HEAD"]
)
async def test_other_references_are_refused(
    quarantine: Quarantine, box: Workbench, tmp_path: Path, reference: str
) -> None:
    box.commit("One", {"a.txt": "1"})
    if reference != "HEAD":
        git(box.path, "update-ref", reference, "HEAD")
    git(box.path, "bundle", "create", "--quiet", str(tmp_path / "b"), reference, "^origin/main")
    before = await references(quarantine.path, "refs/")
    with pytest.raises(QuarantineRefused, match="refs/bellhop"):
        await quarantine.receive_bundle(tmp_path / "b")
    assert await references(quarantine.path, "refs/") == before


async def test_a_bundle_over_the_cap_is_refused(
    quarantine: Quarantine, box: Workbench, tmp_path: Path
) -> None:
    box.commit("Big", {"big.bin": os.urandom(4_000_000)})
    bundle = box.bundle(tmp_path / "b")
    for form in (bundle, bundle.read_bytes()):
        with pytest.raises(QuarantineRefused, match="larger"):
            await quarantine.receive_bundle(form)
    assert not list(quarantine.path.glob("incoming-*"))


async def test_too_many_commits_are_refused_and_leave_nothing(
    quarantine: Quarantine, box: Workbench, tmp_path: Path
) -> None:
    for number in range(21):
        box.commit(f"{number}", {})
    with pytest.raises(QuarantineRefused, match="20 new commits"):
        await quarantine.receive_bundle(box.bundle(tmp_path / "b"))
    assert await received_references(quarantine) == {}
    assert await references(quarantine.path, "refs/incoming/") == {}


async def test_a_damaged_bundle_is_refused(quarantine: Quarantine, box: Workbench, tmp_path: Path) -> None:
    box.commit("One", {"a.txt": "1" * 2000})
    content = bytearray(box.bundle(tmp_path / "b").read_bytes())
    content[-40] ^= 0xFF
    with pytest.raises(QuarantineRefused):
        await quarantine.receive_bundle(bytes(content))
    for junk in (b"", b"not a bundle", bytes(content[:60])):
        with pytest.raises(QuarantineRefused):
            await quarantine.receive_bundle(junk)


async def test_what_fsck_refuses_is_refused(quarantine: Quarantine, box: Workbench, tmp_path: Path) -> None:
    blob = git(box.path, "hash-object", "-w", "--stdin", stdin=b"x")
    inner = git(box.path, "mktree", stdin=f"100644 blob {blob}\tconfig\n".encode())
    tree = git(box.path, "mktree", stdin=f"040000 tree {inner}\t.git\n".encode())
    commit = git(box.path, "commit-tree", tree, "-p", "HEAD", "-m", "A tree with .git in it")
    git(box.path, "update-ref", "refs/bellhop/evil", commit)
    git(box.path, "bundle", "create", "--quiet", str(tmp_path / "b"), "refs/bellhop/evil", "^origin/main")
    with pytest.raises(QuarantineRefused, match="git's checks"):
        await quarantine.receive_bundle(tmp_path / "b")
    assert await received_references(quarantine) == {}


async def test_a_bundle_that_builds_on_what_is_not_here_is_refused(
    quarantine: Quarantine, box: Workbench, tmp_path: Path
) -> None:
    missing = box.commit("One", {"a.txt": "1"})
    box.commit("Two", {"a.txt": "2"})
    with pytest.raises(QuarantineRefused):
        await quarantine.receive_bundle(box.bundle(tmp_path / "b", without=missing))


async def test_a_link_in_place_of_a_bundle_is_refused(
    quarantine: Quarantine, box: Workbench, tmp_path: Path
) -> None:
    box.commit("One", {"a.txt": "1"})
    box.bundle(tmp_path / "b")
    (tmp_path / "link").symlink_to(tmp_path / "b")
    with pytest.raises(QuarantineRefused):
        await quarantine.receive_bundle(tmp_path / "link")
    with pytest.raises(QuarantineRefused):
        await quarantine.receive_bundle(tmp_path / "missing")


async def test_a_hostile_repository_runs_nothing_here(
    quarantine: Quarantine, box: Workbench, mirror: Path, tmp_path: Path
) -> None:
    marker = tmp_path / "marker"
    script = f"#!/bin/sh\ntouch {marker}\n"
    hooks = ("reference-transaction", "post-receive", "pre-push", "post-update", "update")
    for repository in (quarantine.path, mirror):
        for hook in hooks:
            (repository / "hooks").mkdir(exist_ok=True)
            (repository / "hooks" / hook).write_text(script)
            (repository / "hooks" / hook).chmod(0o755)
    git(quarantine.path, "config", "core.fsmonitor", f"touch {marker}")
    git(quarantine.path, "config", "diff.evil.textconv", f"touch {marker}; cat")
    head = box.commit("Evil", {".gitattributes": "* diff=evil filter=evil\n", "a.txt": "1"})
    received = await quarantine.receive_bundle(box.bundle(tmp_path / "b"))
    assert received.references["refs/bellhop/work"] == head
    assert not marker.exists()


async def test_a_bundle_carries_a_mirror_into_a_box(mirror: Path, tmp_path: Path) -> None:
    bundle = await make_bundle(mirror, tmp_path / "in.bundle", ["refs/heads/main"])
    git(tmp_path, "clone", "--quiet", "--branch", "main", str(bundle), str(tmp_path / "inside"))
    assert (tmp_path / "inside" / "README.md").read_text() == "# Billing\n"


async def test_a_bundle_carries_only_what_is_new(mirror: Path, box: Workbench, tmp_path: Path) -> None:
    base = git(mirror, "rev-parse", "main")
    head = box.commit("More", {"a.txt": "1"})
    git(box.path, "push", "--quiet", str(mirror), "HEAD:main")
    bundle = await make_bundle(mirror, tmp_path / "in.bundle", ["refs/heads/main"], without=[base])
    behind = Workbench.clone(mirror, tmp_path / "behind")
    assert head in git(behind.path, "bundle", "list-heads", str(bundle))
    assert base in git(behind.path, "bundle", "verify", str(bundle))


async def test_remove_leaves_nothing(quarantine: Quarantine) -> None:
    quarantine.remove()
    assert not quarantine.path.exists()


async def test_a_reference_to_what_is_no_commit_is_refused(
    quarantine: Quarantine, box: Workbench, tmp_path: Path
) -> None:
    box.commit("One", {"a.txt": "1"})
    git(box.path, "update-ref", "refs/bellhop/tree", git(box.path, "rev-parse", "HEAD^{tree}"))
    git(box.path, "bundle", "create", "--quiet", str(tmp_path / "b"), "refs/bellhop/tree", "^origin/main")
    with pytest.raises(QuarantineRefused):
        await quarantine.receive_bundle(tmp_path / "b")
    assert await received_references(quarantine) == {}


async def test_references_in_each_others_way_are_refused(
    quarantine: Quarantine, box: Workbench, tmp_path: Path
) -> None:
    head = box.commit("One", {"a.txt": "1"})
    await quarantine.receive_bundle(box.bundle(tmp_path / "b"))
    git(box.path, "update-ref", "-d", "refs/bellhop/work")
    box.commit("Two", {"a.txt": "2"})
    with pytest.raises(QuarantineRefused):
        await quarantine.receive_bundle(box.bundle(tmp_path / "b", reference="work/more"))
    assert await received_references(quarantine) == {"refs/bellhop/work": head}


async def test_two_bundles_at_once(quarantine: Quarantine, box: Workbench, tmp_path: Path) -> None:
    first = box.commit("One", {"a.txt": "1"})
    one = box.bundle(tmp_path / "one", reference="one")
    second = box.commit("Two", {"a.txt": "2"})
    two = box.bundle(tmp_path / "two", reference="two")
    await asyncio.gather(quarantine.receive_bundle(one), quarantine.receive_bundle(two))
    assert await received_references(quarantine) == {"refs/bellhop/one": first, "refs/bellhop/two": second}
    assert await references(quarantine.path, "refs/incoming/") == {}
