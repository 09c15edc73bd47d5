"""What the agent proposes, in the forms that people and forges see: branch, commit message, approval."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sandbox.box_work import plain
from sandbox.broker.inspection import Finding
from session import events as e
from session.catalogue import Repository
from session.people import Person
from session.view import SessionView

SLUG_CHARACTERS = 48
TITLE_CHARACTERS = 120
SHOWN_FINDINGS = 5
RAN_OUT = "its time ran out"
"""Why an approval that was given in time, and not carried out in time, does nothing."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A pull request as the agent words it."""

    title: str
    body: str
    draft: bool


def slug(title: str) -> str:
    """The title as a piece of a branch name."""
    plain_title = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
    return plain_title[:SLUG_CHARACTERS].strip("-") or "change"


def branch_name(view: SessionView, title: str) -> str:
    """Where the session's work is published: the branch of its open pull request, else one named by the
    title.

    A branch whose pull request is merged or closed is not used again.
    """
    current = view.pull_request
    if current is not None and current.state in ("open", "draft"):
        return current.branch
    name = f"bellhop/{view.id}/{slug(title)}"
    if current is not None and current.branch.startswith(name):
        return f"{name}-{current.number}-next"
    return name


def commit_message(title: str, author: Person, everyone: Iterable[Person]) -> str:
    """The title, with everybody else whose prompts are in it as co-authors."""
    others = [person for person in everyone if person.id != author.id]
    trailers = [f"Co-authored-by: {plain(p.name)} <{plain(p.commit_email)}>" for p in others]
    subject = " ".join(title.split())[:TITLE_CHARACTERS] or "Change"
    return "\n".join([subject, *(["", *trailers] if trailers else []), ""])


def contributors(view: SessionView) -> tuple[Person, ...]:
    """Whose prompts are in the work so far, first come first; prompts still in line do not count."""
    seen: dict[str, Person] = {}
    for item in view.prompts:
        if item.state not in ("waiting", "cancelled"):
            seen.setdefault(item.prompt.author.id, item.prompt.author)
    return tuple(seen.values())


def digest(repository: str, branch: str, base: str, head_sha: str, proposal: Proposal) -> str:
    """What an approval of this pull request is bound to; any other word or commit is another digest."""
    parts = [repository, branch, base, head_sha, proposal.title, proposal.body, proposal.draft]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def merge_digest(repository: str, number: int, head_sha: str) -> str:
    """What an approval of a merge is bound to."""
    return hashlib.sha256(json.dumps([repository, "merge", number, head_sha]).encode()).hexdigest()


def detail(
    repository: Repository,
    base: str,
    changes: e.ChangesRecorded | None,
    verification: e.VerificationFinished | None,
    findings: Sequence[Finding],
    proposal: Proposal,
    why: str = "",
) -> str:
    """What a person should know before saying yes; `why` they are asked at all, where that is not plain."""
    where = f"{repository.slug}, into {base}{' as a draft' if proposal.draft else ''}"
    lines = [f"{where}."]
    if changes is not None:
        files = "1 file" if changes.files == 1 else f"{changes.files} files"
        lines = [f"{where}: {files}, +{changes.insertions} −{changes.deletions}."]
    if verification is not None:
        lines.append(verdict_sentence(verification))
    if findings:
        paths = sorted({finding.path for finding in findings})
        more = f" and {len(paths) - SHOWN_FINDINGS} more" if len(paths) > SHOWN_FINDINGS else ""
        lines.append(f"It changes protected files: {', '.join(paths[:SHOWN_FINDINGS])}{more}.")
    return "\n".join([*lines, *([why] if why else []), "", proposal.body])


def verdict_sentence(verification: e.VerificationFinished) -> str:
    """The verdict in words."""
    names = ", ".join(f"`{check.command}`" for check in verification.checks if check.verdict == "failed")
    match verification.verdict:
        case "passed":
            return "Checks passed."
        case "failed":
            return f"Checks failed: {names}."
        case "not_run":
            return f"Not checked. {verification.reason}"
