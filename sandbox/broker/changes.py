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


async def merge_base(repository: Path, base: str, head: str) -> str:
    """The commit from which `head` grew out of `base`; `base` itself where they share none."""
    found = await run_git(repository, "merge-base", "--end-of-options", base, head, accept=(0, 1))
    return found.text.split("\n")[0] or base


async def diff_stat(repository: Path, base: str, head: str) -> DiffStat:
    """How much `head` changes since it grew out of `base`."""
    counts = await _counts(repository, await merge_base(repository, base, head), head)
    return DiffStat(
        files=len(counts),
        insertions=sum(added or 0 for added, _ in counts),
        deletions=sum(removed or 0 for _, removed in counts),
    )


async def changes(repository: Path, base: str, head: str) -> list[FileChange]:
    """What `head` changes since it grew out of `base`: at most `MAX_FILES` files, patches within the caps."""
    start = await merge_base(repository, base, head)
    entries = await _entries(repository, start, head)
    counts = await _counts(repository, start, head)
    patches = _patches(await _patch_text(repository, start, head))
    result = []
    for (status, old_path, path), (added, removed) in zip(entries, counts, strict=True):
        patch = next(patches, None)
        if status == "type_changed":
            # git shows it as a deletion and an addition: two patches for one entry.
            second = next(patches, None)
            patch = patch + second if patch is not None and second is not None else None
        if patch is not None and len(patch) > MAX_FILE_PATCH_CHARACTERS:
            patch = None
        result.append(FileChange(path, old_path, status, added, removed, patch))
    return result[:MAX_FILES]


async def _entries(repository: Path, base: str, head: str) -> list[tuple[FileStatus, str | None, str]]:
    fields = iter(await _records(repository, base, head, "--raw"))
    entries: list[tuple[FileStatus, str | None, str]] = []
    for field in fields:
        status = STATUSES[field.split(" ")[4][0]]
        path = next(fields)
        if status in ("renamed", "copied"):
            entries.append((status, path, next(fields)))
        else:
            entries.append((status, None, path))
    return entries


async def _counts(repository: Path, base: str, head: str) -> list[tuple[int | None, int | None]]:
    fields = iter(await _records(repository, base, head, "--numstat"))
    counts = []
    for field in fields:
        added, removed, path = field.split("\t", 2)
        if not path:  # a rename: its two names follow as fields of their own
            next(fields)
            next(fields)
        counts.append((_number(added), _number(removed)))
    return counts


def _number(word: str) -> int | None:
    return None if word == "-" else int(word)


async def _records(repository: Path, base: str, head: str, form: str) -> list[str]:
    listed = await run_git(
        repository, "diff-tree", "-r", "-z", form, *DIFF_OPTIONS, "--end-of-options", base, head
    )
    return listed.stdout.decode("utf-8", "replace").split("\0")[:-1]


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
