"""Invoice lines and their totals."""

from dataclasses import dataclass
from decimal import Decimal

from billing.money import round_cents


@dataclass(frozen=True)
class Line:
    """So many of one thing at a unit price, less a discount in percent."""

    description: str
    quantity: int
    unit_price: Decimal
    discount_percent: Decimal = Decimal(0)

    @property
    def total(self) -> Decimal:
        """What the line costs, in whole cents."""
        full = self.quantity * self.unit_price
        return round_cents(full * (100 - self.discount_percent) / 100)


def net_total(lines: list[Line]) -> Decimal:
    """What all lines cost together, before tax."""
    return sum((line.total for line in lines), Decimal(0))


def gross_total(lines: list[Line], tax_percent: Decimal) -> Decimal:
    """What the invoice comes to, with tax on the net total."""
    net = net_total(lines)
    return net + round_cents(net * tax_percent / 100)
