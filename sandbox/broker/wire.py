"""What travels between a worker and the broker about repositories, work and pull requests."""

from __future__ import annotations

from sandbox.broker.inspection import Finding
from sandbox.forge.protocol import PullRequestRef
from session.people import Declared


class InSession(Declared):
    """Something for one session; which repository that is, the broker reads in the log."""

    session_id: str


class MayWrite(InSession):
    """Whether somebody of the session may write to its repository; `fresh` asks the forge in any case."""

    person_id: str
    fresh: bool = False


class Prepared(Declared):
    """Directories on this host: the mirror as it was fetched just now, and the session's quarantine.
    `let_go`: the newest that the session had saved is not kept any more and not in there."""

    mirror: str
    head_sha: str
    quarantine: str
    let_go: bool = False


class OfRepository(Declared):
    """Something about a repository of the catalogue that no session asks for."""

    repository: str


class Fetched(Declared):
    """The mirror on this host as it was fetched just now."""

    mirror: str
    head_sha: str


class Handover(InSession):
    """A bundle to take into the quarantine, by its file's name in the session's exchange directory."""

    file: str


class TakenIn(Declared):
    """What a bundle brought; see `Received`."""

    references: dict[str, str]
    commits: tuple[str, ...]
    findings: tuple[Finding, ...]


class Outward(InSession):
    """A proposed pull request; `approval_id` is the approval that lets it out, None where none is needed."""

    head_sha: str
    branch: str
    title: str
    body: str
    draft: bool
    approval_id: str | None


class PublishBranch(Outward):
    """The branch of a proposal; `expected` is where it is on the forge now, None: nowhere."""

    expected: str | None


class BranchIsOut(Declared):
    """A published branch."""

    compare_url: str


class OfBranch(InSession):
    """Something about a branch of the session's repository."""

    branch: str


class OfNumber(InSession):
    """Something about a pull request of the session's repository."""

    number: int


class Merge(InSession):
    """A merge that was approved."""

    approval_id: str


class PullRequestIs(Declared):
    """A pull request, None when there is none."""

    pull_request: PullRequestRef | None
