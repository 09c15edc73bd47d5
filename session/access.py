"""Who may do what: pure rules, each with the sentence a person is shown when it says no."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from session.people import ROLES, Person, Role
from session.refusals import NotAllowed
from session.view import ApprovalView, SessionView


def reaches(role: Role, needed: Role) -> bool:
    """Whether `role` is `needed` or stronger."""
    return ROLES.index(role) >= ROLES.index(needed)


@dataclass(frozen=True, slots=True)
class MergeExclusion:
    """Who may not approve a merge; `note` is added to what the approval shows."""

    excluded: tuple[str, ...]
    note: str = ""


def merge_excluded(view: SessionView, approvers: Sequence[str]) -> MergeExclusion:
    """Who may not approve this session's merge: everyone whose prompt is in it.

    approvers: ids of all people who may approve (`Directory.approvers`). Where one person is all there is,
    nobody is excluded, and the note says so.
    """
    authors = tuple(person.id for person in view.authors)
    if len(approvers) <= 1:
        return MergeExclusion(
            (), "Only one person here may approve, so whoever asked for the change may merge it as well."
        )
    return MergeExclusion(authors)


def may_prompt(role: Role, view: SessionView | None, person: Person) -> None:
    """Prompt, open, retry, answer, give feedback: prompters and above. Raises: NotAllowed."""
    if not reaches(role, "prompter"):
        raise NotAllowed(
            f"Sorry, {person.name}: you can watch here, but not ask me for work. An admin can change that."
        )


def may_pick(role: Role, view: SessionView, person: Person) -> None:
    """Say which repository is meant: who asked, or an approver. Raises: NotAllowed."""
    may_prompt(role, view, person)
    if person.id != view.requester.id and not reaches(role, "approver"):
        raise NotAllowed(f"Only {view.requester.name} or an approver can say which repository is meant here.")


def may_approve(role: Role, approval: ApprovalView, person: Person, known_as: Collection[str]) -> None:
    """Approve what is asked: approvers who are not excluded from it.

    known_as: every id that stands for the person, since what they asked for may carry an older one.
    Raises: NotAllowed.
    """
    if not reaches(role, "approver"):
        raise NotAllowed(
            f"Thanks, {person.name}, but your role here does not include approving. "
            "Someone with the approver role can do it."
        )
    if not {person.id, *known_as}.isdisjoint(approval.request.excluded):
        raise NotAllowed(
            f"{person.name}, your own request is part of this change, so somebody else has to approve it. "
            "Another approver can react with ✅."
        )


def may_stop(role: Role, view: SessionView, person: Person) -> None:
    """Stop or archive: who asked or prompted here, or an approver. Raises: NotAllowed."""
    if reaches(role, "approver"):
        return
    involved = {view.requester.id, *(author.id for author in view.authors)}
    if not reaches(role, "prompter") or person.id not in involved:
        raise NotAllowed(
            f"Sorry, {person.name}: only {view.requester.name}, people who prompted here and approvers "
            "can stop this session."
        )


def may_change_prompt(role: Role, author: Person, person: Person) -> None:
    """Reword, take back or steer a waiting prompt: its author, or an approver. Raises: NotAllowed."""
    if person.id != author.id and not reaches(role, "approver"):
        raise NotAllowed(f"That prompt is {author.name}'s: only they or an approver can change it.")
