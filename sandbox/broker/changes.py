"""What a branch changes, read from a bare repository alone: the diff people are shown."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sandbox.broker.git import MEBIBYTE, run_git

FileStatus = Literal["added", "modified", "deleted", "renamed", "copied", "type_changed"]
STATUSES: dict[str, FileStatus] = {
    "A": "added",
    "M": "modified",
    "D": "deleted",
    "R": "renamed",
    "C": "copied",
    "T": "type_changed",
}
MAX_FILES = 1000
MAX_PATCH_BYTES = 8 * MEBIBYTE
MAX_FILE_PATCH_CHARACTERS = 200_000
DIFF_OPTIONS = ("--no-color", "--no-ext-diff", "--no-textconv", "--find-renames", "--no-abbrev")


@dataclass(frozen=True, slots=True)
class FileChange:
    """One file's change. `old_path` is None unless renamed or copied; `insertions` and `deletions` are None
    for a binary file; `patch` is None where it was left out because it, or the whole, is too large."""

    path: str
    old_path: str | None
    status: FileStatus
    insertions: int | None
    deletions: int | None
    patch: str | None


@dataclass(frozen=True, slots=True)
class DiffStat:
    """How large a change is; binary files count as files only."""

    files: int
    insertions: int
    deletions: int


@dataclass(frozen=True, slots=True)
class Changes:
    """What a branch changes since `start`, where it grew out of its base: all of its size, and at most
    `MAX_FILES` files, patches within the caps."""

    start: str
    size: DiffStat
    files: list[FileChange]


@dataclass(frozen=True, slots=True)
class _Entry:
    status: FileStatus
    old_path: str | None
    path: str


async def merge_base(repository: Path, base: str, head: str) -> str:
    """The commit from which `head` grew out of `base`; `base` itself where they share none."""
    found = await run_git(repository, "merge-base", "--end-of-options", base, head, accept=(0, 1))
    return found.text.split("\n")[0] or base


async def changes(repository: Path, base: str, head: str) -> Changes:
    """What `head` changes since it grew out of `base`."""
    start = await merge_base(repository, base, head)
    entries, counts = await _summary(repository, start, head)
    patches = _patches(await _patch_text(repository, start, head))
    files = []
    for entry, (added, removed) in zip(entries, counts, strict=True):
        patch = next(patches, None)
        if entry.status == "type_changed":
            # git shows it as a deletion and an addition: two patches for one entry.
            second = next(patches, None)
            patch = patch + second if patch is not None and second is not None else None
        if patch is not None and len(patch) > MAX_FILE_PATCH_CHARACTERS:
            patch = None
        files.append(FileChange(entry.path, entry.old_path, entry.status, added, removed, patch))
    size = DiffStat(
        files=len(files),
        insertions=sum(added or 0 for added, _ in counts),
        deletions=sum(removed or 0 for _, removed in counts),
    )
    return Changes(start, size, files[:MAX_FILES])


async def _summary(
    repository: Path, base: str, head: str
) -> tuple[list[_Entry], list[tuple[int | None, int | None]]]:
    """Each file's entry, and how many lines it gained and lost, in the same order."""
    listed = await run_git(
        repository, "diff-tree", "-r", "-z", "--raw", "--numstat", *DIFF_OPTIONS,
        "--end-of-options", base, head,
    )  # fmt: skip
    fields = iter(listed.stdout.decode("utf-8", "replace").split("\0")[:-1])
    entries: list[_Entry] = []
    counts = []
    for field in fields:
        if field.startswith(":"):
            entries.append(_entry(STATUSES[field.split(" ")[4][0]], fields))
            continue
        added, removed, path = field.split("\t", 2)
        if not path:  # a rename: its two names follow as fields of their own
            next(fields)
            next(fields)
        counts.append((_number(added), _number(removed)))
    return entries, counts


def _entry(status: FileStatus, names: Iterator[str]) -> _Entry:
    path = next(names)
    return (
        _Entry(status, path, next(names)) if status in ("renamed", "copied") else _Entry(status, None, path)
    )


def _number(word: str) -> int | None:
    return None if word == "-" else int(word)


async def _patch_text(repository: Path, base: str, head: str) -> str:
    """The whole patch; where it is cut at the cap, the file that was cut is dropped."""
    patch = await run_git(
        repository, "diff-tree", "-r", "-p", *DIFF_OPTIONS, "--end-of-options", base, head,
        max_output_bytes=MAX_PATCH_BYTES, truncate=True,
    )  # fmt: skip
    text = patch.stdout.decode("utf-8", "replace")
    return text[: text.rfind("\ndiff --git ") + 1] if patch.truncated else text


def _patches(text: str) -> Iterator[str]:
    """Each file's patch in git's order; a content line never starts with "diff", it starts with a sign."""
    starts = [match.start() for match in re.finditer(r"^diff --git ", text, re.MULTILINE)]
    for start, end in zip(starts, [*starts[1:], len(text)], strict=True):
        yield text[start:end]
