"""Bare mirrors on the host: one directory per repository, fetched incrementally, one fetch at a time."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from sandbox.broker.git import GitFailed, init_bare, run_git
from sandbox.forge.locks import file_lock
from sandbox.forge.protocol import ForgeError, ForgeRefused, ForgeRepository, ForgeUnavailable, Mirror

FETCH_TIMEOUT_SECONDS = 900.0
SLUG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9_][A-Za-z0-9._-]*")
NOT_AUTHENTICATED = re.compile(r"Authentication failed|could not read Username|returned error: 401")
REFUSALS = re.compile(
    r"Authentication failed|could not read Username|returned error: 40[134]|not found|does not appear to be|"
    r"protected branch|denied|declined",
    re.IGNORECASE,
)


def checked_slug(slug: str) -> str:
    """The slug, if it is `owner/name` and safe as a path. Raises `ForgeError` otherwise."""
    if not SLUG.fullmatch(slug):
        raise ForgeError(f"{slug!r} is not a repository slug; write it as owner/name in the catalogue.")
    return slug


def forge_error(repository: ForgeRepository, doing: str, failure: GitFailed) -> ForgeError:
    """The forge's error for a git failure: a refusal if git says so, otherwise something to try again."""
    words = " ".join(failure.stderr.split())[-300:]
    if REFUSALS.search(words):
        return ForgeRefused(
            f"{doing} {repository.slug} was refused: {words}. "
            "Check that the repository exists and that Bellhop may use it.",
            401 if NOT_AUTHENTICATED.search(words) else None,
        )
    return ForgeUnavailable(f"{doing} {repository.slug} failed: {words or failure}. It can be tried again.")


class Mirrors:
    """The mirrors under one directory. Nothing is ever pruned from them: quarantines borrow their objects."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def path(self, repository: ForgeRepository) -> Path:
        """Where the repository's mirror is, or will be."""
        return self._directory / f"{checked_slug(repository.slug).lower()}.git"

    async def sync(
        self, repository: ForgeRepository, *, config: Mapping[str, str], protocols: Iterable[str]
    ) -> Mirror:
        """The mirror, brought up to date. `config` carries the credential and is never written to disk.

        Raises: `ForgeRefused`, `ForgeUnavailable`; the mirror keeps what it had.
        """
        path = self.path(repository)
        async with file_lock(path.with_suffix(".lock"), FETCH_TIMEOUT_SECONDS):
            await self._create(path)
            try:
                await self._fetch(path, repository, config, protocols)
            except GitFailed as failure:
                raise forge_error(repository, "Fetching", failure) from failure
            return Mirror(path, await self._head(path, repository))

    async def _create(self, path: Path) -> None:
        if not (path / "HEAD").exists():
            await init_bare(path)

    async def _fetch(
        self,
        path: Path,
        repository: ForgeRepository,
        config: Mapping[str, str],
        protocols: Iterable[str],
    ) -> None:
        # The address is an argument, not a remote: nothing about how to reach it stays in the mirror.
        await run_git(
            path,
            "fetch",
            "--quiet",
            "--prune",
            "--no-write-fetch-head",
            "--no-recurse-submodules",
            repository.url,
            "+refs/heads/*:refs/heads/*",
            "+refs/tags/*:refs/tags/*",
            config=config,
            protocols=protocols,
            timeout_seconds=FETCH_TIMEOUT_SECONDS,
        )

    async def _head(self, path: Path, repository: ForgeRepository) -> str:
        reference = f"refs/heads/{repository.default_branch}"
        try:
            if (path / "HEAD").read_text() != f"ref: {reference}\n":
                await run_git(path, "symbolic-ref", "HEAD", reference)
            return (await run_git(path, "rev-parse", "--verify", "--quiet", reference)).text
        except GitFailed as failure:
            raise ForgeRefused(
                f"{repository.slug} has no branch {repository.default_branch!r}; "
                "correct default_branch in the catalogue."
            ) from failure
