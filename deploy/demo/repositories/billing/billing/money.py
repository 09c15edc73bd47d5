"""Amounts of money."""

from decimal import Decimal

CENT = Decimal("0.01")


def round_cents(amount: Decimal) -> Decimal:
    """The amount in whole cents."""
    return amount.quantize(CENT)
