"""Reading and publishing branches with plain git, the same for every forge that git can reach."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sandbox.broker.git import GitFailed, run_git
from sandbox.forge.mirrors import forge_error
from sandbox.forge.protocol import ForgeError, ForgeRepository, HeadMoved

FULL_SHA = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
PUSH_TIMEOUT_SECONDS = 300.0
LEASE_LOST = re.compile(r"stale info|fetch first|non-fast-forward|already exists|cannot lock ref")


@dataclass(frozen=True, slots=True)
class Access:
    """How git reaches a forge: the transports it may use, and config that carries the credential."""

    protocols: Iterable[str]
    config: Mapping[str, str] = field(default_factory=dict, repr=False)


async def branch_head(repository: ForgeRepository, branch: str, access: Access) -> str | None:
    """The commit the branch is at on the forge, or None if it is not there."""
    reference = await checked_reference(branch)
    try:
        listed = await run_git(
            None,
            "ls-remote",
            "--quiet",
            repository.url,
            reference,
            config=access.config,
            protocols=access.protocols,
        )
    except GitFailed as failure:
        raise forge_error(repository, f"Reading the branch {branch} of", failure) from failure
    heads = (line.split("\t") for line in listed.text.splitlines())
    return next((sha for sha, name in heads if name == reference), None)


async def publish(
    repository: ForgeRepository,
    quarantine: Path,
    sha: str,
    branch: str,
    expected: str | None,
    access: Access,
) -> None:
    """Put the branch at `sha`, provided it is at `expected` (None: absent); being there already is success.

    Raises: `HeadMoved`, `ForgeRefused`, `ForgeUnavailable`.
    """
    if not FULL_SHA.fullmatch(sha):
        raise ForgeError(f"{sha!r} is not a full commit id; {branch} of {repository.slug} was not published.")
    if _settled(repository, branch, await branch_head(repository, branch, access), sha, expected):
        return
    try:
        await _push(repository, quarantine, sha, branch, expected, access)
    except GitFailed as failure:
        # The answer may have been lost after the forge took the push: what it has now decides.
        actual = await branch_head(repository, branch, access)
        if actual == sha:
            return
        if actual != expected or LEASE_LOST.search(failure.stderr):
            raise _moved(repository, branch, actual, expected) from failure
        raise forge_error(repository, f"Publishing {branch} to", failure) from failure


def _settled(
    repository: ForgeRepository, branch: str, actual: str | None, sha: str, expected: str | None
) -> bool:
    if actual == sha:
        return True
    if actual != expected:
        raise _moved(repository, branch, actual, expected)
    return False


def _moved(repository: ForgeRepository, branch: str, actual: str | None, expected: str | None) -> HeadMoved:
    return HeadMoved(
        f"The branch {branch} of {repository.slug} is at {_named(actual)}, not at {_named(expected)}; "
        "someone else pushed to it. Fetch it and build on what is there.",
        actual,
    )


def _named(sha: str | None) -> str:
    return sha[:12] if sha else "nothing (it does not exist)"


async def _push(
    repository: ForgeRepository,
    quarantine: Path,
    sha: str,
    branch: str,
    expected: str | None,
    access: Access,
) -> None:
    reference = await checked_reference(branch)
    await run_git(
        quarantine,
        "push",
        "--quiet",
        "--no-verify",
        "--recurse-submodules=no",
        f"--force-with-lease={reference}:{expected or ''}",
        repository.url,
        f"{sha}:{reference}",
        config=access.config,
        protocols=access.protocols,
        timeout_seconds=PUSH_TIMEOUT_SECONDS,
    )


async def checked_reference(branch: str) -> str:
    """`refs/heads/<branch>`, if git takes the name. Raises `ForgeError` otherwise."""
    checked = await run_git(None, "check-ref-format", f"refs/heads/{branch}", accept=(0, 1))
    if branch.startswith("-") or not checked.succeeded:
        raise ForgeError(f"{branch!r} is not a name git takes for a branch; choose another.")
    return f"refs/heads/{branch}"
