"""The one way out of quarantine: a branch is published only after every commit of it has been looked at."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass

from sandbox.broker.inspection import Finding
from sandbox.broker.quarantine import Quarantine
from sandbox.forge.protocol import Forge, ForgeRepository

SESSION_BRANCH = re.compile(r"bellhop/[A-Za-z0-9][A-Za-z0-9_-]*/[A-Za-z0-9][A-Za-z0-9._/-]*")


class PublishRefused(Exception):
    """The work must not leave as it is; `findings` say why, the message says what to do."""

    def __init__(self, message: str, findings: tuple[Finding, ...]) -> None:
        super().__init__(message)
        self.findings = findings


class PublishNeedsApproval(PublishRefused):
    """The work touches protected paths. Approving means passing `digest` to `publish` again, for this SHA."""

    def __init__(self, message: str, findings: tuple[Finding, ...], digest: str) -> None:
        super().__init__(message, findings)
        self.digest = digest


@dataclass(frozen=True, slots=True)
class Publication:
    """What is to go out: the commit, the branch it goes to, the commit of the base it grew from.

    `expected` is where the branch is on the forge now; None when it does not exist yet.
    """

    session: str
    sha: str
    branch: str
    base_sha: str
    expected: str | None


@dataclass(frozen=True, slots=True)
class Inspected:
    """A publication whose every commit has been looked at; only `inspected` makes one."""

    publication: Publication
    repository: ForgeRepository
    quarantine: Quarantine
    findings: tuple[Finding, ...]

    @property
    def digest(self) -> str:
        """What an approval is bound to: this repository, branch, commit and these paths, and nothing else."""
        parts = [self.repository.slug, self.publication.branch, self.publication.sha]
        parts += sorted({f"{finding.kind} {finding.path}" for finding in self.findings})
        return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()


async def inspected(
    repository: ForgeRepository,
    quarantine: Quarantine,
    publication: Publication,
    *,
    protected: tuple[str, ...] = (),
) -> Inspected:
    """The publication with what its commits hold. A commit's id stands for all of it, so this stays true.

    `protected` are the repository's own patterns of files whose change needs an approval.
    """
    findings = await quarantine.inspect(publication.base_sha, publication.sha, protected=protected)
    return Inspected(publication, repository, quarantine, findings)


async def publish(
    forge: Forge, work: Inspected, *, approved_digests: Iterable[str] = ()
) -> tuple[Finding, ...]:
    """Publish the session's branch on the forge; gives what an approver has let pass.

    Raises: `PublishRefused` on a blocking finding or a branch that is not the session's own,
    `PublishNeedsApproval` on protected paths without approval, and what `Forge.publish` raises.
    """
    publication, findings = work.publication, work.findings
    _check_branch(publication)
    blocking = tuple(finding for finding in findings if finding.blocking)
    if blocking:
        raise PublishRefused(
            f"{publication.branch} was not published: {_sentence(blocking)}. Take it out of the commits "
            "themselves (rewrite them), not only out of the last one.",
            blocking,
        )
    if findings and work.digest not in set(approved_digests):
        raise PublishNeedsApproval(
            f"{publication.branch} changes protected files and needs an approval: {_sentence(findings)}.",
            findings,
            work.digest,
        )
    await forge.publish(
        work.repository, work.quarantine.path, publication.sha, publication.branch, publication.expected
    )
    return findings


def _check_branch(publication: Publication) -> None:
    own = publication.branch.startswith(f"bellhop/{publication.session}/")
    if not own or not SESSION_BRANCH.fullmatch(publication.branch):
        raise PublishRefused(
            f"{publication.branch} is not a branch of session {publication.session}; "
            f"only bellhop/{publication.session}/… may be published.",
            (),
        )


def _sentence(findings: Iterable[Finding]) -> str:
    listed = [
        f"{finding.path or 'the commit'} in {finding.commit[:12]} {finding.what}" for finding in findings
    ]
    more = f" and {len(listed) - 5} more" if len(listed) > 5 else ""
    return "; ".join(listed[:5]) + more
