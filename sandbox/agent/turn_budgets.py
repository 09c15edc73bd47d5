"""A turn's eye on its session's budgets: what it used is counted, people are warned, and then asked.

Figures come from the broker, which counts and limits; here stands what a turn does about them.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol
from uuid import uuid4

from sandbox.agent.turn_log import TurnLog
from sandbox.broker.budgets import BudgetsAre, SpendAsked
from sandbox.proposal import RAN_OUT
from session import events as e
from session.broker import Broker, BrokerDown, BrokerRefused
from session.spending import NAMES, Amounts, BudgetName, BudgetState, amount
from session.view import ApprovalView

WARN_SHARE = 0.8
ADVICE = "The work is saved. Ask for a smaller next step in a new session, or have the budget raised."


class BudgetsAway(Exception):
    """The broker does not say where the session stands; the message can be shown."""


class Budgeting(Protocol):
    """Where budgets are kept."""

    async def spend(self, session_id: str, used: Amounts) -> tuple[BudgetState, ...]:
        """Where the session stands, `used` counted. Raises: BudgetsAway."""
        ...


class BrokerBudgets:
    """Budgets as the broker keeps them."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    async def spend(self, session_id: str, used: Amounts) -> tuple[BudgetState, ...]:
        """Where the session stands, `used` counted. Raises: BudgetsAway."""
        asked = SpendAsked(session_id=session_id, amounts=used)
        try:
            return (await self._broker.call("budget.spend", asked, BudgetsAre)).states
        except (BrokerDown, BrokerRefused) as error:
            raise BudgetsAway(str(error)) from error


@dataclass(frozen=True, slots=True)
class BudgetPolicy:
    """Whether people are asked at the limit, under which version of the policy, for how many minutes."""

    asks: bool
    version: str
    approval_minutes: float


@dataclass(frozen=True, slots=True)
class Waits:
    """Somebody has to say whether the turn goes on."""


Verdict = Waits | e.TurnFailed | e.TurnPaused


@dataclass(slots=True)
class TurnBudgets:
    """The budgets of one turn's session. One object lasts as long as a worker has the turn.

    `clock` gives monotonic seconds.
    """

    turn: TurnLog
    budgets: Budgeting
    policy: BudgetPolicy
    clock: Callable[[], float] = time.monotonic
    _since: float = field(init=False)
    _seen: int = field(init=False)

    def __post_init__(self) -> None:
        self._since = self.clock()
        # What an earlier worker saw return, it has counted.
        self._seen = self.turn.records[-1].seq if self.turn.records else 0

    async def look(self) -> Verdict | None:
        """Why the model must not be asked now; None when it may be.

        Emits: BudgetWarned and NoteAdded, once for each allowance; ApprovalRequested, ApprovalUsed,
        ApprovalVoided.
        """
        await self._take_answers()
        try:
            states = await self.budgets.spend(self.turn.session_id, self._used())
        except BudgetsAway as error:
            return e.TurnPaused(turn_id=self.turn.turn_id, cause=str(error))
        for state in states:
            if state.used_up:
                return await self._used_up(state)
        for state in states:
            if state.share >= WARN_SHARE and not self._warned(state.budget):
                await self._warn(state)
        return None

    async def count(self) -> None:
        """Count what was used since the last look, as far as the broker hears it."""
        try:
            await self.budgets.spend(self.turn.session_id, self._used())
        except BudgetsAway:
            return  # the turn is over or waits: some seconds and calls are not worth failing it

    def _used(self) -> Amounts:
        new = [record for record in self.turn.records if record.seq > self._seen]
        calls = sum(isinstance(record.event, e.ToolCalled) for record in new)
        seconds = int(self.clock() - self._since)
        self._since += seconds
        self._seen = self.turn.records[-1].seq if self.turn.records else 0
        used: dict[BudgetName, int] = {"tool_calls": calls, "wall_minutes": seconds}
        return used

    async def _used_up(self, state: BudgetState) -> Verdict:
        asked = self._asked(state)
        if asked is not None and asked.state == "open":
            return Waits()
        if asked is not None and asked.state == "refused":
            who = asked.by.name if asked.by else "Somebody"
            return self._failed(state, f"and {who} did not want more")
        if not self.policy.asks:
            return self._failed(state, "and this repository's policy does not ask for more")
        await self.turn.begin(await self._request(state))
        return Waits()

    def _failed(self, state: BudgetState, why: str) -> e.TurnFailed:
        cause = f"The session's budget of {NAMES[state.budget]} is used up ({state.words}), {why}."
        return e.TurnFailed(turn_id=self.turn.turn_id, cause=cause, advice=ADVICE)

    def _asked(self, state: BudgetState) -> ApprovalView | None:
        """What this turn asked last for the same allowance."""
        same = (item for item in reversed(self._own()) if item.request.digest == self._digest(state))
        return next(same, None)

    def _own(self) -> list[ApprovalView]:
        turn_id = self.turn.turn_id
        approvals = self.turn.view.approvals
        return [a for a in approvals if a.request.kind == "budget" and a.request.turn_id == turn_id]

    async def _take_answers(self) -> None:
        """A yes is used now, if it still stands; the allowance it granted holds from then on."""
        for item in self._own():
            if item.state != "given":
                continue
            approval_id = item.request.approval_id
            if item.request.policy_version != self.policy.version:
                reason = "the repository's policy has changed"
            elif await self.turn.clock() >= item.request.expires_at:
                reason = RAN_OUT
            else:
                await self.turn.begin(e.ApprovalUsed(approval_id=approval_id))
                continue
            await self.turn.begin(e.ApprovalVoided(approval_id=approval_id, reason=reason))

    async def _request(self, state: BudgetState) -> e.ApprovalRequested:
        assert state.limit is not None
        more = amount(state.budget, state.limit // state.allowances * (state.allowances + 1))
        return e.ApprovalRequested(
            approval_id=uuid4().hex[:16],
            kind="budget",
            title="Go on beyond the budget?",
            detail=(
                f"This session has used up its budget of {NAMES[state.budget]}: {state.words}. "
                f"A yes allows up to {more} in all. The work so far is kept either way."
            ),
            digest=self._digest(state),
            policy_version=self.policy.version,
            expires_at=await self.turn.clock() + timedelta(minutes=self.policy.approval_minutes),
            turn_id=self.turn.turn_id,
            subject=state.budget,
        )

    def _digest(self, state: BudgetState) -> str:
        asked = [self.turn.session_id, state.budget, state.allowances, state.limit]
        return hashlib.sha256(json.dumps(asked).encode()).hexdigest()

    def _warned(self, budget: BudgetName) -> bool:
        """Whether people were warned since the budget was last extended."""
        extensions = {
            item.request.approval_id
            for item in self.turn.view.approvals
            if item.request.kind == "budget" and item.request.subject == budget
        }
        for record in reversed(self.turn.records):
            match record.event:
                case e.BudgetWarned(budget=warned) if warned == budget:
                    return True
                case e.ApprovalUsed(approval_id=used) if used in extensions:
                    return False
        return False

    async def _warn(self, state: BudgetState) -> None:
        text = f"{state.share:.0%} of this session's budget of {NAMES[state.budget]} is used: {state.words}."
        advice = "Bring the work to a state worth showing; beyond the budget people have to be asked."
        note = e.NoteAdded(turn_id=self.turn.turn_id, text=f"{text} {advice}")
        await self.turn.begin(e.BudgetWarned(budget=state.budget, text=text), note)
