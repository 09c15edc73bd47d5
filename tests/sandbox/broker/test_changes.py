"""The diff people are shown, read from a bare repository."""

from __future__ import annotations

import os
from pathlib import Path

from sandbox.broker import changes as module
from sandbox.broker.changes import Changes, DiffStat, FileChange, changes
from sandbox.broker.quarantine import Quarantine
from tests.sandbox.workbench import Workbench, git


async def taken(quarantine: Quarantine, box: Workbench, tmp_path: Path) -> str:
    received = await quarantine.receive_bundle(box.bundle(tmp_path / "b"))
    return received.references["refs/bellhop/work"]


async def by_path(quarantine: Quarantine, head: str) -> dict[str, FileChange]:
    found = await changes(quarantine.path, "refs/heads/main", head)
    return {change.path: change for change in found.files}


async def test_every_kind_of_change(quarantine: Quarantine, box: Workbench, tmp_path: Path) -> None:
    box.commit(
        "Prepare",
        {"moved.txt": "".join(f"{n}\n" for n in range(40)), "gone.txt": "x\n", "typed": "file\n"},
    )
    git(box.path, "push", "--quiet", "origin", "HEAD:main")
    git(box.path, "fetch", "--quiet")
    await quarantine.seed(tmp_path / "mirror.git")
    git(box.path, "mv", "moved.txt", "there now.txt")
    (box.path / "typed").unlink()
    (box.path / "typed").symlink_to("app.py")
    box.commit(
        "Change",
        {
            "ü.txt": "new\ndiff --git a/x b/x\n",
            "app.py": "print('bye')\n",
            "gone.txt": None,
            "b.bin": b"\0\1",
            os.fsdecode(b"not utf-8 \xff"): "odd\n",
        },
    )
    found = await by_path(quarantine, await taken(quarantine, box, tmp_path))
    assert {path: change.status for path, change in found.items()} == {
        "app.py": "modified",
        "b.bin": "added",
        "gone.txt": "deleted",
        "not utf-8 \ufffd": "added",
        "there now.txt": "renamed",
        "typed": "type_changed",
        "ü.txt": "added",
    }
    assert found["there now.txt"].old_path == "moved.txt"
    assert (found["app.py"].insertions, found["app.py"].deletions) == (1, 1)
    assert (found["b.bin"].insertions, found["b.bin"].deletions) == (None, None)
    assert "+print('bye')" in (found["app.py"].patch or "")
    assert "+diff --git a/x b/x" in (found["ü.txt"].patch or "")
    assert "app.py" in (found["typed"].patch or "")


async def test_what_came_to_the_base_meanwhile_is_not_the_branchs_change(
    quarantine: Quarantine, box: Workbench, tmp_path: Path, mirror: Path
) -> None:
    base = box.head()
    box.commit("Ours", {"ours.txt": "1\n2\n"})
    head = await taken(quarantine, box, tmp_path)
    other = Workbench.clone(mirror, tmp_path / "other")
    other.commit("Theirs", {"theirs.txt": "1\n"})
    git(other.path, "push", "--quiet", str(mirror), "HEAD:main")
    await quarantine.seed(mirror)
    found = await changes(quarantine.path, "refs/heads/main", head)
    assert [change.path for change in found.files] == ["ours.txt"]
    assert (found.size, found.start) == (DiffStat(1, 2, 0), base)


async def test_a_large_patch_is_left_out_and_still_counted(
    quarantine: Quarantine, box: Workbench, tmp_path: Path
) -> None:
    lines = "".join(f"{n:0100}\n" for n in range(900))
    box.commit("Large", {f"large-{n:03}.txt": lines.replace("0", f"{n % 10}") for n in range(30)})
    box.commit("Small", {"z.txt": "z\n"})
    head = await taken(quarantine, box, tmp_path)
    found = await by_path(quarantine, head)
    assert found["large-000.txt"].insertions == 900
    assert len(found["large-000.txt"].patch or "") < module.MAX_FILE_PATCH_CHARACTERS
    assert (await changes(quarantine.path, "refs/heads/main", head)).size.files == 31
    box.commit("Larger", {"larger.txt": lines * 3})
    found = await by_path(quarantine, await taken(quarantine, box, tmp_path))
    assert found["larger.txt"].patch is None
    assert found["larger.txt"].insertions == 2700
    assert found["z.txt"].patch is not None


async def test_nothing_changed(quarantine: Quarantine, box: Workbench, tmp_path: Path) -> None:
    base = box.head()
    box.commit("Empty", {})
    head = await taken(quarantine, box, tmp_path)
    found = await changes(quarantine.path, "refs/heads/main", head)
    assert found == Changes(base, DiffStat(0, 0, 0), [])
