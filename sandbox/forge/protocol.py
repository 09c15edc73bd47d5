"""What a forge is to the rest of the house: repositories, branches, pull requests, and how they fail.

A forge keeps the company's repositories. Each implementation is one module in this folder; the contract is
held by `tests/sandbox/forge/test_contract.py`, which runs against every one of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

Permission = Literal["none", "read", "write", "admin"]
PullRequestState = Literal["draft", "open", "merged", "closed"]


@dataclass(frozen=True, slots=True)
class ForgeRepository:
    """A repository as the catalogue names it.

    `slug` is `owner/name`, `url` is where git reads it (a path for the local forge, https for GitHub).
    """

    slug: str
    url: str
    default_branch: str


@dataclass(frozen=True, slots=True)
class Mirror:
    """A bare copy of a repository on the host, and the head of its default branch when it was fetched."""

    path: Path
    head_sha: str


@dataclass(frozen=True, slots=True)
class Credential:
    """A person's own right to act on the forge. The token never shows in `repr`, logs or errors."""

    login: str
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class PullRequestRef:
    """A pull request as the forge told it last.

    `branch` is the head branch, `base` the one it goes into; `adopted` says that it was there before
    we asked. After a merge `head_sha` is still the head that was merged, not the merge commit.
    """

    number: int
    url: str
    branch: str
    base: str
    head_sha: str
    title: str
    state: PullRequestState
    author: str
    adopted: bool


class ForgeError(Exception):
    """A forge could not do what was asked: says what, for which repository, and what to do next."""


class ForgeUnavailable(ForgeError):
    """The forge did not answer, or answered 5xx or "slow down" to the end of our patience: try again later.

    `retry_after_seconds` is what the forge asked for; None when it did not say.
    """

    def __init__(self, message: str, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class ForgeRefused(ForgeError):
    """The forge said no (401, 403, 404, 405, 422): asking again will not help, someone must change something.

    `status` is the HTTP status; None where the forge has none.
    """

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class HeadMoved(ForgeError):
    """A branch or pull request is no longer at the commit that was named. `actual` is where it is now."""

    def __init__(self, message: str, actual: str | None = None) -> None:
        super().__init__(message)
        self.actual = actual


class NotLinked(ForgeError):
    """The person has no credential on this forge; they must link their account first."""


class Forge(Protocol):
    """A place that keeps repositories and pull requests.

    Every method raises `ForgeUnavailable` when the forge cannot be reached, `ForgeRefused` when it says no.
    """

    @property
    def name(self) -> str:
        """The forge's name in the catalogue (`github`, `local`)."""
        ...

    @property
    def needs_credential(self) -> bool:
        """True where opening and merging a pull request takes the person's own credential."""
        ...

    async def check(self) -> None:
        """Return if the forge answers and our own credentials are good; raise a `ForgeError` otherwise."""
        ...

    async def permission(self, repository: ForgeRepository, login: str) -> Permission:
        """What `login` may do in the repository, asked live. Someone unknown has `none`."""
        ...

    async def sync_mirror(self, repository: ForgeRepository) -> Mirror:
        """The host's bare mirror, brought up to date; one fetch at a time per repository."""
        ...

    async def branch_head(self, repository: ForgeRepository, branch: str) -> str | None:
        """The commit the branch is at, or None if there is no such branch."""
        ...

    async def publish(
        self, repository: ForgeRepository, quarantine: Path, sha: str, branch: str, expected: str | None
    ) -> None:
        """Put `branch` at `sha` from the bare repository `quarantine`; done already counts as done.

        `expected` is where the branch must be now (None: it must not exist).

        Raises: `HeadMoved` when the branch is somewhere else.
        """
        ...

    async def find_pull_request(self, repository: ForgeRepository, branch: str) -> PullRequestRef | None:
        """The open (or draft) pull request of the branch, or None."""
        ...

    async def open_pull_request(
        self,
        repository: ForgeRepository,
        *,
        branch: str,
        base: str,
        title: str,
        body: str,
        draft: bool,
        as_person: Credential | None,
    ) -> PullRequestRef:
        """The branch's pull request: an open one is adopted (`adopted=True`), else opened as the person.

        Raises: `NotLinked` when the forge needs a credential and `as_person` is None.
        """
        ...

    async def open_draft(
        self, repository: ForgeRepository, *, branch: str, base: str, title: str, body: str
    ) -> PullRequestRef:
        """The branch's pull request, opened as a draft by Bellhop itself: for runs that no person asked for.

        An open one is adopted.
        """
        ...

    async def pull_request(self, repository: ForgeRepository, number: int) -> PullRequestRef:
        """The pull request as it is now. Raises `ForgeRefused` when there is none of that number."""
        ...

    async def merge(
        self,
        repository: ForgeRepository,
        number: int,
        head_sha: str,
        *,
        as_person: Credential | None,
        message: str,
    ) -> PullRequestRef:
        """Merge the pull request as the person, only if its head is `head_sha`; merged there already is fine.

        Raises: `HeadMoved` when the head is another commit, `ForgeRefused` when the forge's rules say no,
        `NotLinked` when the forge needs a credential and `as_person` is None.
        """
        ...

    def compare_url(self, repository: ForgeRepository, base: str, branch: str) -> str:
        """A page (for the local forge, a reference) on which a person sees the branch against its base."""
        ...
