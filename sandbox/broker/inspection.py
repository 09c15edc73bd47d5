"""What new commits contain that must not leave unseen: each commit is read, not only the difference.

A secret added in one commit and removed in the next is still published with the first.
"""

from __future__ import annotations

import asyncio
import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sandbox.broker.git import MEBIBYTE, megabytes, run_git
from sandbox.broker.git_objects import lines, read_objects
from sandbox.broker.patch_scan import secrets_in_messages, secrets_in_patch
from sandbox.broker.protected_paths import ProtectedPaths

FindingKind = Literal["large_file", "outside_symlink", "submodule", "secret", "protected_path", "not_scanned"]

SYMLINK_MODE = "120000"
SUBMODULE_MODE = "160000"
MAX_LINK_BYTES = 4096
MAX_SCANNED_BYTES = 64 * MEBIBYTE
SCAN_TIMEOUT_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing seen in one commit. `blocking` ones are never published; the others need an approval.

    `detail` is for the agent and may show the beginning of a secret; `what` is the rest of a sentence about
    the file or commit, for everybody, with nothing of what is in it.
    """

    kind: FindingKind
    commit: str
    path: str
    detail: str
    blocking: bool
    what: str


@dataclass(frozen=True, slots=True)
class _Entry:
    commit: str
    path: str
    modes: tuple[str, ...]
    mode: str
    blob: str

    @property
    def is_file(self) -> bool:
        return self.mode.startswith("100")


async def inspect_commits(
    repository: Path,
    commits: Sequence[str],
    *,
    max_file_bytes: int,
    protected: Sequence[str] = (),
    variables: Mapping[str, str] | None = None,
) -> tuple[Finding, ...]:
    """The findings of each of the commits, in their order; merges count for what they add to all parents.

    `protected` are the repository's own patterns of protected paths. `variables` is set for git where the
    objects are not in the repository yet.
    """
    if not commits:
        return ()
    given = variables or {}
    paths = ProtectedPaths(protected)
    entries = await _entries(repository, commits, given)
    findings = [finding for entry in entries for finding in _by_path_and_mode(entry, paths)]
    sizes = await _sizes(repository, entries, given)
    findings += _large_files(entries, sizes, max_file_bytes)
    findings += await _outside_symlinks(repository, entries, sizes, given)
    findings += await _secrets(repository, commits, given)
    order = {commit: position for position, commit in enumerate(commits)}
    return tuple(sorted(findings, key=lambda finding: (order[finding.commit], finding.path, finding.kind)))


async def _entries(repository: Path, commits: Sequence[str], variables: Mapping[str, str]) -> list[_Entry]:
    listed = await run_git(
        repository, "diff-tree", "--stdin", "-r", "-z", "-c", "--root", "--raw", "--no-renames",
        "--no-abbrev",
        stdin=lines(commits), variables=variables,
    )  # fmt: skip
    # What is found travels as JSON and is read by people, who need no byte-exact names.
    fields = listed.stdout.decode("utf-8", "replace").split("\0")
    entries: list[_Entry] = []
    commit = ""
    position = 0
    while position < len(fields) and fields[position]:
        field = fields[position]
        if not field.startswith(":"):
            commit = field.strip()
            position += 1
            continue
        parents = len(field) - len(field.lstrip(":"))
        words = field.lstrip(":").split(" ")
        modes, blobs = words[: parents + 1], words[parents + 1 : 2 * (parents + 1)]
        entries.append(_Entry(commit, fields[position + 1], tuple(modes), modes[-1], blobs[-1]))
        position += 2
    return entries


def _by_path_and_mode(entry: _Entry, paths: ProtectedPaths) -> list[Finding]:
    findings = []
    if SUBMODULE_MODE in entry.modes:
        detail, what = "a submodule is changed", "changes a submodule"
        findings.append(Finding("submodule", entry.commit, entry.path, detail, True, what))
    if paths.covers(entry.path):
        detail, what = "changing this needs an approval", "is protected"
        findings.append(Finding("protected_path", entry.commit, entry.path, detail, False, what))
    return findings


async def _sizes(repository: Path, entries: Sequence[_Entry], variables: Mapping[str, str]) -> dict[str, int]:
    """The bytes of each file and link, by blob."""
    blobs = sorted({entry.blob for entry in entries if entry.is_file or entry.mode == SYMLINK_MODE})
    if not blobs:
        return {}
    answer = await run_git(
        repository, "cat-file", "--batch-check=%(objectname) %(objectsize)",
        stdin=lines(blobs), variables=variables,
    )  # fmt: skip
    return {blob: int(size) for blob, size in (line.split(" ") for line in answer.text.splitlines())}


def _large_files(entries: Sequence[_Entry], sizes: Mapping[str, int], limit: int) -> list[Finding]:
    what = f"is larger than the {megabytes(limit)} that one file may have"
    return [
        Finding("large_file", file.commit, file.path, f"{sizes[file.blob]} bytes, over {limit}", True, what)
        for file in entries
        if file.is_file and sizes[file.blob] > limit
    ]


async def _outside_symlinks(
    repository: Path, entries: Sequence[_Entry], sizes: Mapping[str, int], variables: Mapping[str, str]
) -> list[Finding]:
    links = [entry for entry in entries if entry.mode == SYMLINK_MODE]
    short = sorted({link.blob for link in links if sizes[link.blob] <= MAX_LINK_BYTES})
    targets = await read_objects(repository, short, variables=variables)
    findings = []
    for link in links:
        held = targets.get(link.blob)
        target = None if held is None else held.decode("utf-8", "replace")
        if target is None or _leads_outside(link.path, target):
            detail = "its target is too long" if target is None else f"points to {target[:200]}"
            what = "is a link that leads out of the repository"
            findings.append(Finding("outside_symlink", link.commit, link.path, detail, True, what))
    return findings


def _leads_outside(path: str, target: str) -> bool:
    if target.startswith("/"):
        return True
    landing = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
    return landing == ".." or landing.startswith("../") or landing.split("/")[0].lower() == ".git"


async def _secrets(repository: Path, commits: Sequence[str], variables: Mapping[str, str]) -> list[Finding]:
    listed = lines(commits)
    patch = await run_git(
        repository, "diff-tree", "--stdin", "-r", "--cc", "--root", "-p", "-U0", "--text", "--no-renames",
        "--no-color", "--no-ext-diff", "--no-textconv", "--src-prefix=a/", "--dst-prefix=b/",
        stdin=listed, config={"core.quotePath": "false"}, variables=variables,
        max_output_bytes=MAX_SCANNED_BYTES, truncate=True, timeout_seconds=SCAN_TIMEOUT_SECONDS,
    )  # fmt: skip
    messages = await run_git(
        repository, "rev-list", "--stdin", "--no-walk=unsorted", "--format=raw",
        stdin=listed, variables=variables, max_output_bytes=MAX_SCANNED_BYTES, truncate=True,
    )  # fmt: skip
    # A thread of its own, since tens of megabytes take seconds.
    found = await asyncio.to_thread(
        lambda: [*secrets_in_patch(patch.stdout), *secrets_in_messages(messages.stdout)]
    )
    findings = [
        Finding(
            kind="secret",
            commit=item.commit,
            path=item.path,
            detail=f"looks like {item.hit.what}: {item.hit.shown}",
            blocking=True,
            what=f"holds what looks like {item.hit.what}",
        )
        for item in found
    ]
    if patch.truncated or messages.truncated:
        detail = f"the changes are larger than the {MAX_SCANNED_BYTES} bytes that are scanned for secrets"
        what = f"is part of more than the {megabytes(MAX_SCANNED_BYTES)} that can be searched for secrets"
        findings.append(Finding("not_scanned", commits[-1], "", detail, True, what))
    return findings
