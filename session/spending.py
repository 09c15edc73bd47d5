"""What sessions have used of their budgets, and what calls under way may still use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal, get_args
from uuid import uuid4

from session.database import Database, Transaction, marks
from session.people import Declared
from session.policy import Budgets
from session.view import SessionView

BudgetName = Literal["money_usd", "tokens", "tool_calls", "egress_bytes", "wall_minutes"]
BUDGETS: tuple[BudgetName, ...] = get_args(BudgetName)
UNITS: Mapping[BudgetName, int] = {"money_usd": 1_000_000, "wall_minutes": 60}
"""So many of what is counted make one of the budget: millionths of a dollar, seconds; others count as is."""

RESERVED_FOR = timedelta(minutes=15)
"""As long as a model call may take: what its process did not settle by then, it never will."""

Amounts = Mapping[BudgetName, int]


class BudgetUsedUp(Exception):
    """The session may use no more of this budget until a person says so; the message can be shown."""

    def __init__(self, budget: BudgetName, message: str) -> None:
        super().__init__(message)
        self.budget = budget


class BudgetReserved(Exception):
    """Calls under way may use up the rest of the budget; the message can be shown."""


class BudgetState(Declared):
    """One budget of a session: what is used and what is allowed, as counted (see `UNITS`).

    `limit` is None where nothing limits it. `allowances` is how often as much was granted, at first 1.
    """

    budget: BudgetName
    spent: int
    limit: int | None
    allowances: int = 1

    @property
    def share(self) -> float:
        """The part of the limit that is used; 0 where there is none."""
        return self.spent / self.limit if self.limit else 0.0

    @property
    def used_up(self) -> bool:
        """Whether no more may be used."""
        return self.limit is not None and self.spent >= self.limit

    @property
    def words(self) -> str:
        """What is used of what is allowed: `$4.02 of $5.00`."""
        return f"{amount(self.budget, self.spent)} of {amount(self.budget, self.limit or 0)}"


@dataclass(frozen=True, slots=True)
class Reservation:
    """What one call may use at most; to be settled with what it did use."""

    session_id: str
    ids: tuple[str, ...]


class Spending:
    """The rows of all sessions' spending."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def spent(self, session_id: str) -> dict[BudgetName, int]:
        """What the session has used; budgets of which nothing is used are left out. Raises: DatabaseDown."""
        return await self._database.run(lambda transaction: _spent(transaction, session_id))

    async def spend(self, session_id: str, used: Amounts) -> dict[BudgetName, int]:
        """What the session has used after this too. Raises: DatabaseDown."""

        async def work(transaction: Transaction) -> dict[BudgetName, int]:
            await _add(transaction, session_id, used)
            return await _spent(transaction, session_id)

        return await self._database.run(work)

    async def reserve(self, session_id: str, most: Amounts, limits: Amounts) -> Reservation:
        """The right to use at most so much, unless the session has reached a limit.

        What is reserved may go beyond the limit, so that the last call is not refused for what it will hardly
        use: calls side by side overshoot by at most one of them.
        Raises: BudgetUsedUp; BudgetReserved, while other calls hold what is left; DatabaseDown.
        """

        async def work(transaction: Transaction) -> Reservation:
            await _lock(transaction, session_id)
            now = await transaction.clock()
            spent = await _spent(transaction, session_id)
            for budget, limit in limits.items():
                if spent.get(budget, 0) >= limit:
                    raise BudgetUsedUp(budget, used_up(budget, spent[budget], limit))
            reserved = await _reserved(transaction, session_id, now)
            ids: list[str] = []
            for budget, counted in most.items():
                if budget not in limits:
                    continue
                if spent.get(budget, 0) + reserved.get(budget, 0) >= limits[budget]:
                    raise BudgetReserved("Other calls of this session may use up the rest of its budget.")
                ids.append(uuid4().hex)
                await transaction.execute(
                    "INSERT INTO reservations (id, session_id, budget, amount, expires_at) "
                    "VALUES (?, ?, ?, ?, ?)",
                    *(ids[-1], session_id, budget, counted, now + RESERVED_FOR),
                )
            return Reservation(session_id, tuple(ids))

        return await self._database.run(work)

    async def settle(self, reservation: Reservation, used: Amounts) -> None:
        """Put what was used in place of what was reserved. Raises: DatabaseDown."""

        async def work(transaction: Transaction) -> None:
            await _lock(transaction, reservation.session_id)
            if reservation.ids:
                await transaction.execute(
                    f"DELETE FROM reservations WHERE id IN {marks(len(reservation.ids))}", *reservation.ids
                )
            await _add(transaction, reservation.session_id, used)

        await self._database.run(work)


def limits_of(budgets: Budgets, money_usd: Decimal | None, view: SessionView) -> dict[BudgetName, int]:
    """The session's limits, as counted: the repository's budgets, as often as people have allowed them.

    `money_usd` holds where the repository sets no limit of its own on money.
    """
    configured: dict[BudgetName, Decimal | int | None] = {
        "money_usd": budgets.money_usd if budgets.money_usd is not None else money_usd,
        "tokens": budgets.tokens,
        "tool_calls": budgets.tool_calls,
        "egress_bytes": budgets.egress_bytes,
        "wall_minutes": budgets.wall_minutes,
    }
    return {
        budget: int(limit * UNITS.get(budget, 1)) * allowances(budget, view)
        for budget, limit in configured.items()
        if limit is not None
    }


def allowances(budget: BudgetName, view: SessionView) -> int:
    """How often the session may use the whole budget: once, and once more for each yes."""
    return 1 + sum(
        item.request.kind == "budget" and item.request.subject == budget and item.state in ("given", "used")
        for item in view.approvals
    )


def used_up(budget: BudgetName, spent: int, limit: int) -> str:
    """The sentence that says that the budget is used up."""
    figures = f"{amount(budget, spent)} of {amount(budget, limit)}"
    return f"This session has used up its budget of {NAMES[budget]}: {figures}."


def amount(budget: BudgetName, counted: int) -> str:
    """So much of a budget, in words."""
    match budget:
        case "money_usd":
            return f"${counted / UNITS[budget]:,.2f}"
        case "wall_minutes":
            return f"{counted / UNITS[budget]:,.0f} minutes"
        case "egress_bytes":
            return f"{counted / 1_000_000:,.1f} MB"
        case "tokens" | "tool_calls":
            return f"{counted:,} {NAMES[budget]}"


NAMES: Mapping[BudgetName, str] = {
    "money_usd": "money",
    "tokens": "tokens",
    "tool_calls": "tool calls",
    "egress_bytes": "traffic",
    "wall_minutes": "working time",
}


async def _lock(transaction: Transaction, session_id: str) -> None:
    """One at a time for each session; SQLite's transactions are alone anyway."""
    await transaction.rows(f"SELECT id FROM sessions WHERE id = ? {transaction.for_update}", session_id)


async def _spent(transaction: Transaction, session_id: str) -> dict[BudgetName, int]:
    rows = await transaction.rows("SELECT budget, spent FROM spending WHERE session_id = ?", session_id)
    return {row["budget"]: int(row["spent"]) for row in rows}


async def _reserved(transaction: Transaction, session_id: str, now: datetime) -> dict[BudgetName, int]:
    await transaction.execute(
        "DELETE FROM reservations WHERE session_id = ? AND expires_at <= ?", session_id, now
    )
    rows = await transaction.rows(
        "SELECT budget, SUM(amount) AS reserved FROM reservations WHERE session_id = ? GROUP BY budget",
        session_id,
    )
    return {row["budget"]: int(row["reserved"]) for row in rows}


async def _add(transaction: Transaction, session_id: str, used: Amounts) -> None:
    for budget, counted in used.items():
        if counted:
            await transaction.execute(
                "INSERT INTO spending (session_id, budget, spent) VALUES (?, ?, ?) "
                "ON CONFLICT (session_id, budget) DO UPDATE SET spent = spending.spent + excluded.spent",
                *(session_id, budget, counted),
            )
