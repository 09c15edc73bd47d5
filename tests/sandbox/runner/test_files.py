"""Files, searching and checkpoints."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sandbox.environments.runner_client import RunnerClient, ToolRefused
from tests.sandbox.runner.conftest import Place, git, path_without_ripgrep


async def test_lines_of_a_file_and_what_is_left(runner: RunnerClient, workspace: Path) -> None:
    (workspace / "f").write_text("one\ntwo\nthree")
    part = await runner.read_file("f", offset=2, limit=1)
    assert (part.text, part.first_line, part.last_line, part.total_lines) == ("two\n", 2, 2, 3)
    assert part.truncated
    assert not (await runner.read_file("f")).truncated


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "link", "", "a\0b"])
async def test_paths_outside_are_refused(runner: RunnerClient, workspace: Path, path: str) -> None:
    (workspace / "link").symlink_to("/etc/passwd")
    with pytest.raises(ToolRefused):
        await runner.read_file(path)
    with pytest.raises(ToolRefused):
        await runner.write_file("c1", path, "x")


async def test_what_is_no_text_is_said(runner: RunnerClient, workspace: Path) -> None:
    (workspace / "binary").write_bytes(b"\0\1\2")
    (workspace / "directory").mkdir()
    with pytest.raises(ToolRefused, match="not a text file"):
        await runner.read_file("binary")
    with pytest.raises(ToolRefused, match="is a directory"):
        await runner.read_file("directory")
    with pytest.raises(ToolRefused, match="does not exist"):
        await runner.read_file("nothing")
    part = await runner.read_bytes("binary", offset=1, limit=1)
    assert (part.data, part.offset, part.total_bytes) == (b"\1", 1, 3)


async def test_writing_makes_directories_and_keeps_the_mode(runner: RunnerClient, workspace: Path) -> None:
    assert (await runner.write_file("c1", "a/b/run.sh", b"\xff\n")).created
    assert (workspace / "a/b/run.sh").read_bytes() == b"\xff\n"
    (workspace / "a/b/run.sh").chmod(0o755)
    again = await runner.write_file("c2", "a/b/run.sh", "text")
    assert not again.created
    assert (workspace / "a/b/run.sh").stat().st_mode & 0o777 == 0o755
    assert [path.name for path in (workspace / "a/b").iterdir()] == ["run.sh"]


@pytest.mark.parametrize(
    ("before", "old", "new", "after", "matched_by"),
    [
        ("a = 1\nb = 2\n", "a = 1", "a = 3", "a = 3\nb = 2\n", "exact"),
        ("a = 1  \nb = 2\n", "a = 1\nb = 2", "a = 3\nb = 2", "a = 3\nb = 2\n", "trailing whitespace"),
        ("a\r\nb\r\nc\r\n", "a\nb\n", "x\ny\n", "x\r\ny\r\nc\r\n", "trailing whitespace"),
        (
            "def f():\n    if x:\n        go()\n",
            "if x:\n    go()",
            "if y:\n    stop()",
            "def f():\n    if y:\n        stop()\n",
            "indentation",
        ),
        ("\tif x:\n\t\tgo()", "if x:\n\tgo()", "pass", "\tpass", "indentation"),
        ("caf\xe9 one\n", "one", "two", "caf\xe9 two\n", "exact"),
        ("keep\n  drop me\nkeep\n", "drop me\n", "", "keep\n  keep\n", "exact"),
    ],
)
async def test_edits_find_what_is_meant(
    runner: RunnerClient, workspace: Path, before: str, old: str, new: str, after: str, matched_by: str
) -> None:
    (workspace / "f").write_bytes(before.encode())
    edit = await runner.edit_file("c1", "f", old, new)
    assert (workspace / "f").read_bytes().decode() == after
    assert (edit.matched_by, edit.replacements) == (matched_by, 1)


async def test_an_edit_that_could_mean_two_places_is_refused(runner: RunnerClient, workspace: Path) -> None:
    (workspace / "f").write_text("x = 1\ny = 2\nx = 1\n")
    with pytest.raises(ToolRefused, match=r"2 places \(lines 1, 3\)"):
        await runner.edit_file("c1", "f", "x = 1", "x = 2")
    with pytest.raises(ToolRefused, match="2 places"):
        await runner.edit_file("c2", "f", "  x = 1  ", "x = 2")
    edit = await runner.edit_file("c3", "f", "x = 1", "x = 2", replace_all=True)
    assert edit.replacements == 2
    assert (workspace / "f").read_text() == "x = 2\ny = 2\nx = 2\n"
    assert "-x = 1\n+x = 2" in edit.diff


async def test_an_edit_without_a_place_shows_the_nearest_lines(runner: RunnerClient, workspace: Path) -> None:
    (workspace / "f").write_text("import os\n\ndef compute_total(items):\n    return sum(items)\n")
    with pytest.raises(ToolRefused, match=r"3: def compute_total\(items\):"):
        await runner.edit_file("c1", "f", "def compute_totals(item):\n    pass", "x")
    with pytest.raises(ToolRefused, match="Nothing in it looks alike"):
        await runner.edit_file("c2", "f", "~~~~~~~~~", "x")
    with pytest.raises(ToolRefused, match="does not exist"):
        await runner.edit_file("c3", "g", "a", "b")


async def test_bytes_that_are_not_utf_8_go_through_an_edit(runner: RunnerClient, workspace: Path) -> None:
    (workspace / "f").write_bytes(b"name = \xe9\nx = 1\n")
    await runner.edit_file("c1", "f", "x = 1", "x = 2")
    assert (workspace / "f").read_bytes() == b"name = \xe9\nx = 2\n"


def lay_out(workspace: Path) -> None:
    """A small repository with ignored, hidden, nested and binary files."""
    git(workspace, "init", "-q")
    files = {
        ".gitignore": "build/\n*.log\n",
        ".github/ci.yml": "needle: 1\n",
        "src/a.py": "import x\nneedle = 1\n",
        "src/deep/b.py": "Needle\n" + "n" * 600 + "needle\n",
        "src/c.ts": "no match\n",
        "build/out.py": "needle\n",
        "debug.log": "needle\n",
        "two words.txt": "a needle here\r\n",
    }
    for name, content in files.items():
        (workspace / name).parent.mkdir(parents=True, exist_ok=True)
        (workspace / name).write_bytes(content.encode())
    (workspace / "data.bin").write_bytes(b"needle\0needle")


@pytest.mark.parametrize("ripgrep", [pytest.param(True, marks=pytest.mark.needs("ripgrep")), False])
async def test_grep_says_the_same_with_and_without_ripgrep(tmp_path: Path, ripgrep: bool) -> None:
    place = Place(tmp_path) if ripgrep else Place(tmp_path, path=path_without_ripgrep(tmp_path))
    place.workspace.mkdir()
    lay_out(place.workspace)
    async with place.runner() as (runner, _):
        assert (await runner.grep("needle")).lines == (
            ".github/ci.yml:1:needle: 1",
            "src/a.py:2:needle = 1",
            "src/deep/b.py:2:" + "n" * 484 + " […]",
            "two words.txt:1:a needle here",
        )
        assert (await runner.grep("^needle", path="src")).lines == ("src/a.py:2:needle = 1",)
        assert (await runner.grep("^needle$", ignore_case=True, glob="*.py")).lines == (
            "src/deep/b.py:1:Needle",
        )
        assert (await runner.grep("needle", path="src/a.py")).lines == ("src/a.py:2:needle = 1",)
        assert (await runner.grep("nowhere")).lines == ()
        limited = await runner.grep("needle", limit=2)
        assert (len(limited.lines), limited.truncated) == (2, True)
        with pytest.raises(ToolRefused, match="not understood"):
            await runner.grep("(")


async def test_glob_leaves_out_what_git_ignores(runner: RunnerClient, workspace: Path) -> None:
    lay_out(workspace)
    assert (await runner.glob("*.py")).paths == ("src/a.py", "src/deep/b.py")
    assert (await runner.glob("src/*.py")).paths == ("src/a.py",)
    assert (await runner.glob("**/*.{ts,yml}")).paths == (".github/ci.yml", "src/c.ts")
    assert (await runner.glob("*.py", path="src/deep")).paths == ("src/deep/b.py",)
    assert (await runner.glob("[!s]*.txt")).paths == ("two words.txt",)
    limited = await runner.glob("**", limit=1)
    assert limited.truncated


async def test_glob_works_where_there_is_no_repository(runner: RunnerClient, workspace: Path) -> None:
    (workspace / "d").mkdir()
    (workspace / "d" / "f.py").touch()
    assert (await runner.glob("*.py")).paths == ("d/f.py",)


async def test_a_checkpoint_has_all_work_and_leaves_the_agent_s_git_alone(
    runner: RunnerClient, workspace: Path
) -> None:
    lay_out(workspace)
    git(workspace, "add", "src/a.py", ".gitignore")
    git(workspace, "commit", "-q", "-m", "first")
    head = git(workspace, "rev-parse", "HEAD")
    (workspace / "src/a.py").write_text("changed\n")
    git(workspace, "add", "src/c.ts")
    (workspace / ".git/hooks/pre-commit").write_text("#!/bin/sh\ntouch hooked\n")
    (workspace / ".git/hooks/pre-commit").chmod(0o755)
    before = git(workspace, "status", "--porcelain")
    taken = await runner.checkpoint("Turn 1", author_name="Grace", author_email="grace@example.org")
    assert taken.head == head
    assert git(workspace, "status", "--porcelain") == before
    assert git(workspace, "rev-parse", "HEAD") == head
    assert git(workspace, "rev-parse", "refs/bellhop/checkpoint") == taken.commit
    assert git(workspace, "log", "-1", "--format=%an %ae %s %T %P", taken.commit) == (
        f"Grace grace@example.org Turn 1 {taken.tree} {head}"
    )
    assert git(workspace, "show", f"{taken.commit}:src/a.py") == "changed"
    names = git(workspace, "ls-tree", "-r", "--name-only", taken.commit).splitlines()
    assert "two words.txt" in names
    assert "debug.log" not in names
    assert not (workspace / "hooked").exists()


async def test_a_checkpoint_has_a_change_that_came_in_the_same_moment_as_the_last_look_at_its_file(
    runner: RunnerClient, workspace: Path
) -> None:
    git(workspace, "init", "-q")
    # The moment lies a while back here, and this would tell of it.
    git(workspace, "config", "core.trustctime", "false")
    file, then = workspace / "f", (1_700_000_000, 1_700_000_000)
    file.write_text("one\n")
    os.utime(file, then)
    git(workspace, "add", "f")
    os.utime(workspace / ".git/index", then)
    file.write_text("two\n")
    os.utime(file, then)
    taken = await runner.checkpoint("x", author_name="Ada", author_email="ada@example.org")
    assert git(workspace, "show", f"{taken.commit}:f") == "two"


async def test_a_checkpoint_before_the_first_commit_has_no_parent(
    runner: RunnerClient, workspace: Path
) -> None:
    with pytest.raises(ToolRefused, match="not in a git repository"):
        await runner.checkpoint("x", author_name="Ada", author_email="ada@example.org")
    (workspace / "repo").mkdir()
    git(workspace / "repo", "init", "-q")
    (workspace / "repo/file").write_text("x")
    taken = await runner.checkpoint("x", author_name="Ada", author_email="a@example.org", workdir="repo")
    assert taken.head is None
    assert git(workspace / "repo", "rev-list", taken.commit) == taken.commit
