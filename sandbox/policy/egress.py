"""Hosts that the door refused: a person is asked once, and the agent is told what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from sandbox.agent.tool import Suspended
from sandbox.agent.turn_log import TurnLog
from sandbox.broker.client import BrokerFailed, BrokerUnavailable
from sandbox.broker.door.parts import EgressRefused
from sandbox.policy import asking
from session import events as e
from session.catalogue import Repository
from session.policy import policy_version
from session.view import ApprovalView

REASON_CHARACTERS = 300
PATH_CHARACTERS = 300
SHOWN_REFUSALS = 5
KIND: e.ApprovalKind = "egress"


class DoorView(Protocol):
    """What a worker sees of its boxes' doors."""

    async def refusals(self, box: str, after: int) -> Sequence[EgressRefused]:
        """What that box's door refused after that number, oldest first.

        Raises: BrokerUnavailable, BrokerFailed.
        """
        ...


@dataclass(frozen=True, slots=True)
class EgressWatch:
    """Asks about hosts that calls of one turn, run in `box`, could not reach."""

    turn: TurnLog
    repository: Repository
    doors: DoorView
    box: str
    approval_minutes: float

    async def seen(self) -> int | None:
        """The number of the newest refusal so far; None while the broker does not say."""
        refusals = await self._refusals(0)
        return None if refusals is None else max((refused.number for refused in refusals), default=0)

    async def look(self, call_id: str, after: int | None, *, failed: bool, doing: str) -> str | Suspended:
        """Lines to add to the call's output, or its suspension until somebody has decided.

        `after` is what `seen` said before the call; `doing` the call in plain words.
        Emits: ApprovalUsed, ApprovalVoided; asks with ApprovalRequested.
        """
        item = asking.asked(self.turn.view, call_id, KIND)
        if item is not None:
            return Suspended() if item.state == "open" else await self._answer(item)
        refusals = (await self._refusals(after) if after is not None else None) or ()
        fresh = [refused for refused in refusals if refused.allowable and not self._was_asked(refused)]
        if failed and fresh and self.repository.approvals.egress == "ask":
            return Suspended((self._request(call_id, fresh[0], doing),))
        return _told(refusals)

    async def _refusals(self, after: int) -> Sequence[EgressRefused] | None:
        try:
            return await self.doors.refusals(self.box, after)
        except (BrokerUnavailable, BrokerFailed):
            # The command has ended all the same, and its own words say what it could not reach.
            return None

    async def _answer(self, item: ApprovalView) -> str:
        subject = item.request.subject
        version = policy_version(self.repository)
        bound_to = asking.digest(self.turn.session_id, subject, version)
        if why := await asking.refusal(self.turn, item, bound_to, version):
            return f"[{subject} stays out of reach: {why}. Go on without it.]"
        name = item.by.name if item.by else "somebody"
        method, _, place = subject.partition(" ")
        return f"[{name} allowed {method} {place} for this session. Run it again.]"

    def _was_asked(self, refused: EgressRefused) -> bool:
        """Whether this was decided before, or is under way: one that fell away with its turn was not."""
        turn_id = self.turn.turn_id
        return any(
            item.request.kind == KIND
            and item.request.subject == refused.subject
            and (item.state != "voided" or item.request.turn_id == turn_id)
            for item in self.turn.view.approvals
        )

    def _request(self, call_id: str, refused: EgressRefused, doing: str) -> e.ApprovalRequested:
        subject, version = refused.subject, policy_version(self.repository)
        said = " ".join(asking.visible(self._last_words()).split())
        said = said if len(said) <= REASON_CHARACTERS else f"{said[: REASON_CHARACTERS - 1].rstrip()}…"
        lines = [
            f"Request: {asking.code(f'{refused.method} {_address(refused)}')}",
            f"Refused because {refused.reason.rstrip('.')}.",
            f"Bellhop was {asking.visible(doing)}."
            + (f" It said: “{said}”" if said else " It gave no reason."),
            f"A yes lets every {refused.subject.replace(' ', ' to ', 1)} through, for this session only.",
        ]
        return asking.request(
            self.turn,
            call_id,
            KIND,
            title=f"Reach {refused.host}?",
            detail="\n".join(lines),
            subject=subject,
            bound_to=asking.digest(self.turn.session_id, subject, version),
            policy_version=version,
            minutes=self.approval_minutes,
        )

    def _last_words(self) -> str:
        replies = (r.event for r in reversed(self.turn.turn_records) if isinstance(r.event, e.ModelReplied))
        return next((reply.text for reply in replies), "")


def _address(refused: EgressRefused) -> str:
    usual = {"http": 80, "https": 443}.get(refused.scheme)
    port = "" if refused.port == usual else f":{refused.port}"
    return f"{refused.scheme}://{refused.host}{port}{refused.path[:PATH_CHARACTERS]}"


def _told(refusals: Sequence[EgressRefused]) -> str:
    lines = [f"[not allowed: {each.subject}: {each.reason.rstrip('.')}]" for each in refusals]
    lines = list(dict.fromkeys(lines))
    more = [f"[and {len(lines) - SHOWN_REFUSALS} more]"] if len(lines) > SHOWN_REFUSALS else []
    return "\n".join([*lines[:SHOWN_REFUSALS], *more])
