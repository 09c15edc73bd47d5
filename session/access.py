"""Who may do what: pure rules, each with the sentence a person is shown when it says no."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from session.people import ROLES, Person, Role
from session.refusals import NotAllowed
from session.view import ApprovalView, SessionView


def reaches(role: Role, needed: Role) -> bool:
    """Whether `role` is `needed` or stronger."""
    return ROLES.index(role) >= ROLES.index(needed)


@dataclass(frozen=True, slots=True)
class Actor:
    """Somebody who asks for something: the person, their role, and every id that stands for them.

    ids: of the person and of those they turned out to be (`Directory.ids`); events may carry any of them.
    """

    person: Person
    role: Role
    ids: frozenset[str]

    @property
    def name(self) -> str:
        """How the person is called."""
        return self.person.name

    def reaches(self, needed: Role) -> bool:
        """Whether the role is `needed` or stronger."""
        return reaches(self.role, needed)

    def is_any_of(self, *people: Person) -> bool:
        """Whether one of these is the same person, under whichever id."""
        return not self.ids.isdisjoint(person.id for person in people)


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


def may_prompt(actor: Actor) -> None:
    """Prompt, open, retry, answer, give feedback: prompters and above. Raises: NotAllowed."""
    if not actor.reaches("prompter"):
        raise NotAllowed(
            f"Sorry, {actor.name}: you can watch here, but not ask me for work. An admin can change that."
        )


def may_pick(actor: Actor, view: SessionView) -> None:
    """Say which repository is meant: who asked, or an approver. Raises: NotAllowed."""
    may_prompt(actor)
    if not actor.is_any_of(view.requester) and not actor.reaches("approver"):
        raise NotAllowed(f"Only {view.requester.name} or an approver can say which repository is meant here.")


def may_approve(actor: Actor, approval: ApprovalView) -> None:
    """Approve what is asked: approvers who are not excluded from it. Raises: NotAllowed."""
    if not actor.reaches("approver"):
        raise NotAllowed(
            f"Thanks, {actor.name}, but your role here does not include approving. "
            "Someone with the approver role can do it."
        )
    if not actor.ids.isdisjoint(approval.request.excluded):
        raise NotAllowed(
            f"{actor.name}, your own request is part of this change, so somebody else has to approve it. "
            "Another approver can react with ✅."
        )


def may_stop(actor: Actor, view: SessionView) -> None:
    """Stop or archive: who asked or prompted here, or an approver. Raises: NotAllowed."""
    if actor.reaches("approver"):
        return
    if not actor.reaches("prompter") or not actor.is_any_of(view.requester, *view.authors):
        raise NotAllowed(
            f"Sorry, {actor.name}: only {view.requester.name}, people who prompted here and approvers "
            "can stop this session."
        )


def may_change_prompt(actor: Actor, author: Person) -> None:
    """Reword, take back or steer a waiting prompt: its author, or an approver. Raises: NotAllowed."""
    if not actor.is_any_of(author) and not actor.reaches("approver"):
        raise NotAllowed(f"That prompt is {author.name}'s: only they or an approver can change it.")
