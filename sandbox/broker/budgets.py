"""The broker's desk for budgets: what a session may use, decided from the record and the catalogue.

A worker cannot raise a limit by saying so: how much is allowed follows from the repository's policy and from
what people approved, both of which the desk reads itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from decimal import Decimal
from typing import Any

from pydantic import Field, NonNegativeInt

from sandbox.broker.operations import Caller, Operation, Part
from session.catalogue import Catalogue, UnknownRepository
from session.log import Log, NoSuchSession
from session.people import Declared
from session.policy import Budgets
from session.spending import (
    BUDGETS,
    Amounts,
    BudgetName,
    BudgetReserved,
    BudgetState,
    BudgetUsedUp,
    Reservation,
    Spending,
    allowances,
    limits_of,
    used_up,
)
from session.view import SessionView

KINDS: Mapping[type[Exception], str] = {
    BudgetUsedUp: "budget_spent",
    BudgetReserved: "budget_reserved",
    NoSuchSession: "no_such_session",
}
"""How the desk's errors are named on their way."""


class SpendAsked(Declared):
    """Used by that session, as counted (`session.spending.UNITS`); nothing, to hear where it stands."""

    session_id: str
    amounts: Mapping[BudgetName, NonNegativeInt] = Field(default_factory=dict)


class StateAsked(Declared):
    """Where does that session stand?"""

    session_id: str


class BudgetsAre(Declared):
    """Every budget of a session."""

    states: tuple[BudgetState, ...]


class BudgetDesk:
    """Counts what sessions use against what they may.

    `money_usd` is the limit of sessions whose repository sets none on money; None: no limit. Every method
    raises NoSuchSession and DatabaseDown.
    """

    def __init__(self, spending: Spending, log: Log, catalogue: Catalogue, money_usd: Decimal | None) -> None:
        self._spending = spending
        self._log = log
        self._catalogue = catalogue
        self._money_usd = money_usd

    async def reserve(self, session_id: str, most: Amounts) -> Reservation:
        """The right to use at most so much. Raises: BudgetUsedUp, BudgetReserved."""
        limits = self._limits(await self._log.view(session_id))
        return await self._spending.reserve(session_id, most, limits)

    async def settle(self, reservation: Reservation, used: Amounts) -> None:
        """Put what was used in place of what was reserved."""
        await self._spending.settle(reservation, used)

    async def spend(self, session_id: str, budget: BudgetName, counted: int) -> None:
        """Count what was used already, also beyond the limit."""
        await self._spending.spend(session_id, {budget: counted})

    async def check(self, session_id: str, budget: BudgetName) -> None:
        """Return while some of that budget is left. Raises: BudgetUsedUp."""
        limit = self._limits(await self._log.view(session_id)).get(budget)
        if limit is None:
            return
        spent = (await self._spending.spent(session_id)).get(budget, 0)
        if spent >= limit:
            raise BudgetUsedUp(budget, used_up(budget, spent, limit))

    async def state(self, session_id: str) -> tuple[BudgetState, ...]:
        """Every budget of the session, whether limited or not."""
        return self._states(await self._log.view(session_id), await self._spending.spent(session_id))

    async def on_spend(self, asked: SpendAsked, caller: Caller) -> BudgetsAre:
        """Operation `budget.spend`: counted, and where the session stands then."""
        view = await self._log.view(asked.session_id)
        spent = await self._spending.spend(asked.session_id, asked.amounts)
        return BudgetsAre(states=self._states(view, spent))

    async def on_state(self, asked: StateAsked, caller: Caller) -> BudgetsAre:
        """Operation `budget.state`: where the session stands."""
        return BudgetsAre(states=await self.state(asked.session_id))

    def _states(self, view: SessionView, spent: Mapping[BudgetName, int]) -> tuple[BudgetState, ...]:
        limits = self._limits(view)
        return tuple(
            BudgetState(
                budget=budget,
                spent=spent.get(budget, 0),
                limit=limits.get(budget),
                allowances=allowances(budget, view),
            )
            for budget in BUDGETS
        )

    def _limits(self, view: SessionView) -> dict[BudgetName, int]:
        budgets = Budgets()
        if view.repository is not None:
            # Turns of a repository that left the catalogue fail for that; what holds for all holds here.
            with suppress(UnknownRepository):
                budgets = self._catalogue.get(view.repository.slug).budgets
        return limits_of(budgets, self._money_usd, view)


def budget_operations(desk: BudgetDesk) -> list[Operation[Any, Any]]:
    """The desk's operations. Pages show where a session stands; only workers and operators count."""
    counting: frozenset[Part] = frozenset({"worker", "operator"})
    looking: frozenset[Part] = frozenset({"worker", "operator", "web"})
    return [
        Operation("budget.spend", SpendAsked, counting, desk.on_spend),
        Operation("budget.state", StateAsked, looking, desk.on_state),
    ]
