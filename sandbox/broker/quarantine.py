"""A session's bare repository on the host: where its git work enters, and from which it is published.

The box hands over a bundle file; git reads it as data, never inside a tree that the box wrote.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
from collections.abc import Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from sandbox.broker.bundle_header import BadBundle, BundleHeader, read_header
from sandbox.broker.git import MEBIBYTE, GitFailed, GitTimeout, init_bare, megabytes, run_git
from sandbox.broker.git_objects import kinds_of
from sandbox.broker.inspection import Finding, inspect_commits
from sandbox.forge.locks import file_lock

SESSION_REFERENCES = "refs/bellhop/"
SAFE_REFERENCE = re.compile(r"refs/bellhop/[A-Za-z0-9][A-Za-z0-9._/-]{0,200}")
RECEIVE_TIMEOUT_SECONDS = 120.0
MAX_REFERENCES = 64
PACK_AFTER = 200


class QuarantineRefused(Exception):
    """A bundle was not taken in; the message says why and what to do. What was there before is unchanged."""


@dataclass(frozen=True, slots=True)
class QuarantineLimits:
    """How much a session may hand over: bytes at once, bytes that are kept before a push is taken, commits
    at once, bytes of one file."""

    bundle_bytes: int = 200 * MEBIBYTE
    kept_bytes: int = 2048 * MEBIBYTE
    commits: int = 2000
    file_bytes: int = 5 * MEBIBYTE


@dataclass(frozen=True, slots=True)
class Received:
    """What a bundle brought: its refs, the commits new here (oldest first), and what was found in them."""

    references: dict[str, str]
    commits: tuple[str, ...]
    findings: tuple[Finding, ...]


class Quarantine:
    """One session's quarantine repository. Branches and tags of the forge have their own names, what the
    harness took over is under `refs/bellhop/`, and what a box sees and pushes under `BoxView`'s.

    `let_go`: the newest that the session had saved is not kept any more and did not come here."""

    def __init__(self, path: Path, limits: QuarantineLimits) -> None:
        self.path = path
        self.limits = limits
        self.let_go = False

    @classmethod
    async def create(cls, path: Path, mirror: Path, *, limits: QuarantineLimits | None = None) -> Quarantine:
        """The quarantine at `path`, made if it is not there, with the mirror's branches as they are now.

        Objects are borrowed from the mirror (alternates), so this costs no copy however large it is.
        """
        quarantine = cls(path, limits or QuarantineLimits())
        is_new = not (path / "HEAD").exists()
        if is_new:
            await init_bare(path)
        await quarantine.seed(mirror, is_new=is_new)
        return quarantine

    async def seed(self, mirror: Path, *, is_new: bool = False) -> None:
        """Take the mirror's branches and tags as they are now; what the forge has counts as seen."""
        alternates = self.path / "objects" / "info" / "alternates"
        alternates.parent.mkdir(parents=True, exist_ok=True)
        # A disk that is full must not leave it empty: without it the repository's own commits are missing.
        fresh = alternates.with_name("alternates.new")
        fresh.write_text(f"{(mirror / 'objects').absolute()}\n")
        fresh.replace(alternates)
        async with self.writing():
            theirs = await references(mirror, "refs/heads/", "refs/tags/")
            ours = {} if is_new else await references(self.path, "refs/heads/", "refs/tags/")
            await change_references(
                self.path,
                {name: sha for name, sha in theirs.items() if ours.get(name) != sha},
                ours.keys() - theirs.keys(),
            )

    def writing(self) -> AbstractAsyncContextManager[None]:
        """One change of many refs at a time."""
        return file_lock(self.path / "references.lock", RECEIVE_TIMEOUT_SECONDS)

    async def receive_bundle(self, bundle: Path | bytes) -> Received:
        """Take a bundle's `refs/bellhop/*` in and say what is new. A ref may be rewritten by its session.

        Findings do not keep work out, since the quarantine must never lose any; they keep it from being
        published (`sandbox.broker.publishing`).

        Raises: `QuarantineRefused` when the bundle is too large, damaged, has other refs, or fails fsck.
        """
        incoming = self.path / f"incoming-{uuid4().hex}"
        try:
            self._copy_in(bundle, incoming)
            header = self._header(incoming)
            brought = dict(header.references)
            await self._unpack(incoming, header)
            commits = await self._new_commits(brought.values())
            await self._check_commits({name: sha for name, sha in brought.items() if sha not in commits})
            findings = await inspect_commits(self.path, commits, max_file_bytes=self.limits.file_bytes)
            await change_references(self.path, brought, ())
        except OSError as error:
            raise QuarantineRefused(f"The changes cannot be kept: {error}.") from error
        except GitTimeout as failure:
            raise QuarantineRefused(
                "The changes took too long to take in; hand over less at once."
            ) from failure
        except GitFailed as failure:
            raise QuarantineRefused(
                f"The changes did not pass git's checks: {failure.stderr.strip()[-300:]}"
            ) from failure
        finally:
            incoming.unlink(missing_ok=True)
        return Received(brought, commits, findings)

    async def inspect(self, base: str, head: str, *, protected: tuple[str, ...] = ()) -> tuple[Finding, ...]:
        """What every commit from `base` (excluded) to `head` contains that should not leave unseen.

        `protected` are the repository's own patterns of protected paths.
        """
        listed = await run_git(self.path, "rev-list", "--reverse", "--topo-order", head, f"^{base}")
        return await inspect_commits(
            self.path,
            tuple(listed.text.split()),
            max_file_bytes=self.limits.file_bytes,
            protected=protected,
        )

    async def resolve(self, reference: str) -> str | None:
        """The commit a full ref name or id stands for, or None if it is not here."""
        found = await run_git(
            self.path, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{reference}^{{commit}}",
            accept=(0, 1, 128),
        )  # fmt: skip
        return found.text or None

    def remove(self) -> None:
        """Delete the quarantine and everything in it."""
        shutil.rmtree(self.path, ignore_errors=True)

    def _copy_in(self, bundle: Path | bytes, incoming: Path) -> None:
        if isinstance(bundle, bytes):
            self._check_size(len(bundle))
            incoming.write_bytes(bundle)
            return
        try:
            # The box may own the directory: a link there must not make us read something else.
            descriptor = os.open(bundle, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise QuarantineRefused(f"The bundle {bundle.name} cannot be read ({error.strerror}).") from error
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise QuarantineRefused(f"The bundle {bundle.name} is not a regular file.")
        with os.fdopen(descriptor, "rb") as source, incoming.open("xb") as target:
            copied = 0
            while chunk := source.read(MEBIBYTE):
                copied += len(chunk)
                self._check_size(copied)
                target.write(chunk)

    def _check_size(self, size: int) -> None:
        if size > self.limits.bundle_bytes:
            raise QuarantineRefused(
                f"The changes are larger than the {megabytes(self.limits.bundle_bytes)} that can leave a "
                "sandbox at once; hand over fewer or smaller files."
            )

    def _header(self, incoming: Path) -> BundleHeader:
        try:
            header = read_header(incoming)
        except BadBundle as error:
            raise QuarantineRefused(f"The bundle cannot be used: {error}.") from error
        for name in header.references:
            if not SAFE_REFERENCE.fullmatch(name) or ".." in name:
                raise QuarantineRefused(
                    f"The bundle has the ref {name}; only {SESSION_REFERENCES}* may be handed over."
                )
        if not 1 <= len(header.references) <= MAX_REFERENCES:
            raise QuarantineRefused(
                f"The bundle has {len(header.references)} refs; it may have 1 to {MAX_REFERENCES}."
            )
        return header

    async def _unpack(self, incoming: Path, header: BundleHeader) -> None:
        """Take the bundle's objects in, each checked by fsck, and see that nothing they need is missing.

        No ref holds them yet: nothing that is in a quarantine is ever pruned.
        """
        # Unbuffered, so that git goes on reading exactly where the header ended.
        with incoming.open("rb", buffering=0) as file:
            file.seek(header.pack_offset)
            # `git fetch` does not run fsck on a bundle before git 2.46; index-pack always does when told.
            await run_git(
                self.path, "index-pack", "--stdin", "--fix-thin", "--strict",
                f"--max-input-size={self.limits.bundle_bytes}",
                stdin=file, timeout_seconds=RECEIVE_TIMEOUT_SECONDS,
            )  # fmt: skip
        await run_git(
            self.path, "rev-list", "--objects", "--quiet", *set(header.references.values()), "--not", "--all",
            timeout_seconds=RECEIVE_TIMEOUT_SECONDS,
        )  # fmt: skip

    async def _check_commits(self, brought: Mapping[str, str]) -> None:
        kinds = await kinds_of(self.path, [*brought.values()])
        for name, kind in zip(brought, kinds, strict=True):
            if kind != "commit":
                raise QuarantineRefused(f"The bundle's {name} is a {kind}; only commits may be handed over.")

    async def _new_commits(self, heads: Iterable[str]) -> tuple[str, ...]:
        listed = await run_git(
            self.path, "rev-list", "--reverse", "--topo-order", f"--max-count={self.limits.commits + 1}",
            *set(heads), "--not", "--glob=refs/heads/*", f"--glob={SESSION_REFERENCES}*",
        )  # fmt: skip
        commits = tuple(listed.text.split())
        if len(commits) > self.limits.commits:
            raise QuarantineRefused(
                f"There are more than {self.limits.commits} new commits; squash them, or build on the base."
            )
        return commits


async def references(repository: Path, *prefixes: str) -> dict[str, str]:
    """The refs of a bare repository under the prefixes, by full name."""
    listed = await run_git(repository, "for-each-ref", "--format=%(objectname) %(refname)", *prefixes)
    return {name: sha for sha, name in (line.split(" ", 1) for line in listed.text.splitlines())}


async def change_references(repository: Path, wanted: Mapping[str, str], gone: Iterable[str]) -> None:
    """Delete the refs `gone`, then set `wanted`: in this order, since a new name may lie below an old one."""
    removals = "".join(f"delete {name}\n" for name in gone)
    updates = "".join(f"update {name} {sha}\n" for name, sha in wanted.items())
    for lines in filter(None, (removals, updates)):
        await run_git(repository, "update-ref", "--stdin", stdin=lines.encode("utf-8", "surrogateescape"))
    if len(wanted) > PACK_AFTER:
        await run_git(repository, "pack-refs", "--all")


async def make_bundle(
    repository: Path, target: Path, names: Iterable[str], *, without: Iterable[str] = ()
) -> Path:
    """A bundle file at `target` (absolute) with those refs of a bare repository, for carrying into a box.

    `without` are commits the box already has. Raises: `GitFailed` when there is nothing to carry.
    """
    excluded = [f"^{commit}" for commit in without]
    await run_git(
        repository, "bundle", "create", "--quiet", str(target), *names, *excluded,
        timeout_seconds=RECEIVE_TIMEOUT_SECONDS,
    )  # fmt: skip
    return target
