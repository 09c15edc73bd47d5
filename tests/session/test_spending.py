"""Budgets: what is counted, what is reserved, and how far calls side by side go beyond a limit."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

from session.database import Database
from session.people import Person
from session.policy import Budgets
from session.spending import (
    Amounts,
    BudgetReserved,
    BudgetState,
    BudgetUsedUp,
    Reservation,
    Spending,
    limits_of,
    used_up,
)
from tests.session.room import Room

LIMITS: Amounts = {"tokens": 1000}


@pytest.fixture
def spending(room: Room) -> Spending:
    return Spending(room.database)


@pytest.fixture
async def session_id(room: Room, ada: Person) -> str:
    return (await room.queued(ada)).id


async def test_what_is_used_adds_up_by_session_and_budget(
    spending: Spending, room: Room, ada: Person, session_id: str
) -> None:
    other = (await room.queued(ada)).id
    await spending.spend(session_id, {"tokens": 5, "egress_bytes": 7})
    await asyncio.gather(*(spending.spend(session_id, {"tokens": 1}) for _ in range(10)))
    assert await spending.spent(session_id) == {"tokens": 15, "egress_bytes": 7}
    assert await spending.spent(other) == {}


async def test_twenty_calls_at_the_limit_overshoot_by_at_most_one(
    spending: Spending, session_id: str
) -> None:
    await spending.spend(session_id, {"tokens": 990})
    reserved: list[Reservation] = []
    under_way = 0

    async def call() -> None:
        nonlocal under_way
        reservation = await spending.reserve(session_id, {"tokens": 100}, LIMITS)
        reserved.append(reservation)
        under_way += 1
        assert under_way == 1
        await spending.settle(reservation, {"tokens": 100})
        under_way -= 1

    outcomes = await asyncio.gather(*(call() for _ in range(20)), return_exceptions=True)
    refused = [outcome for outcome in outcomes if outcome is not None]
    assert len(reserved) == 1
    assert all(isinstance(outcome, BudgetUsedUp | BudgetReserved) for outcome in refused)
    assert len(refused) == 19
    assert (await spending.spent(session_id))["tokens"] == 1090


async def test_calls_that_fit_run_side_by_side(spending: Spending, session_id: str) -> None:
    calls = (spending.reserve(session_id, {"tokens": 100}, LIMITS) for _ in range(10))
    reservations = await asyncio.gather(*calls)
    with pytest.raises(BudgetReserved):
        await spending.reserve(session_id, {"tokens": 100}, LIMITS)
    await spending.settle(reservations[0], {"tokens": 1})
    await spending.reserve(session_id, {"tokens": 100}, LIMITS)


async def test_a_used_up_budget_refuses_whatever_else_is_asked_for(
    spending: Spending, session_id: str
) -> None:
    await spending.spend(session_id, {"tool_calls": 3})
    with pytest.raises(BudgetUsedUp, match="3 tool calls of 3 tool calls") as refused:
        await spending.reserve(session_id, {"tokens": 1}, {**LIMITS, "tool_calls": 3})
    assert refused.value.budget == "tool_calls"


async def test_what_nothing_limits_is_counted_all_the_same(spending: Spending, session_id: str) -> None:
    reservation = await spending.reserve(session_id, {"tokens": 10**9}, {})
    assert reservation.ids == ()
    await spending.settle(reservation, {"tokens": 12})
    assert await spending.spent(session_id) == {"tokens": 12}


async def test_a_reservation_whose_process_died_runs_out(
    spending: Spending, database: Database, session_id: str
) -> None:
    await spending.reserve(session_id, {"tokens": 2000}, LIMITS)
    with pytest.raises(BudgetReserved):
        await spending.reserve(session_id, {"tokens": 1}, LIMITS)
    await database.execute("UPDATE reservations SET expires_at = ?", await database.clock())
    await spending.reserve(session_id, {"tokens": 1}, LIMITS)


async def test_each_yes_grants_as_much_again(room: Room, ada: Person) -> None:
    view = await room.running(ada)
    budgets = Budgets(tokens=100, wall_minutes=2)
    assert limits_of(budgets, Decimal("1.5"), view) == {
        "tokens": 100,
        "wall_minutes": 120,
        "money_usd": 1_500_000,
    }
    asked = await room.ask(view.id, "budget", subject="tokens")
    assert limits_of(budgets, None, await room.log.view(view.id))["tokens"] == 100
    view = await room.commands.approve(view.id, asked, ada)
    limits = limits_of(budgets, None, view)
    assert (limits["tokens"], limits["wall_minutes"]) == (200, 120)
    view = await room.commands.withdraw(view.id, asked, ada)
    assert limits_of(budgets, None, view)["tokens"] == 100
    assert limits_of(Budgets(money_usd=Decimal(2)), Decimal(9), view) == {"money_usd": 2_000_000}


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (BudgetState(budget="money_usd", spent=4_020_000, limit=5_000_000), "$4.02 of $5.00"),
        (BudgetState(budget="wall_minutes", spent=90, limit=1200), "2 minutes of 20 minutes"),
        (BudgetState(budget="tokens", spent=1234, limit=5000), "1,234 tokens of 5,000 tokens"),
        (BudgetState(budget="egress_bytes", spent=1_500_000, limit=9_000_000), "1.5 MB of 9.0 MB"),
    ],
)
def test_figures_are_for_people(state: BudgetState, words: str) -> None:
    assert state.words == words


def test_the_refusal_says_what_is_used_up() -> None:
    assert used_up("money_usd", 5_010_000, 5_000_000) == (
        "This session has used up its budget of money: $5.01 of $5.00."
    )
