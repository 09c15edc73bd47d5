"""Invoices come out as finance expects them."""

import unittest
from decimal import Decimal

from billing.invoice import Line, gross_total, net_total


class TotalsTest(unittest.TestCase):
    def test_a_line_is_quantity_times_price(self) -> None:
        self.assertEqual(Line("bell", 3, Decimal("4.20")).total, Decimal("12.60"))

    def test_a_discount_is_taken_off(self) -> None:
        self.assertEqual(Line("bell", 1, Decimal("10.00"), Decimal(15)).total, Decimal("8.50"))

    def test_half_a_cent_is_rounded_up(self) -> None:
        self.assertEqual(Line("ribbon", 1, Decimal("2.665")).total, Decimal("2.67"))

    def test_lines_are_added(self) -> None:
        lines = [Line("bell", 2, Decimal("4.00")), Line("ribbon", 1, Decimal("1.50"))]
        self.assertEqual(net_total(lines), Decimal("9.50"))

    def test_tax_comes_on_top(self) -> None:
        self.assertEqual(gross_total([Line("bell", 1, Decimal("10.00"))], Decimal(19)), Decimal("11.90"))

    def test_an_empty_invoice_costs_nothing(self) -> None:
        self.assertEqual(net_total([]), Decimal(0))


if __name__ == "__main__":
    unittest.main()
