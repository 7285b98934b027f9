"""TPC-H Q1's pricing summary, in plain Python over integers.

This is the CPU work a team would really write: a loop over lines. Integers keep it exact: a price
in cents times (100 - discount) is in 1/10,000 of a currency unit, and times (100 + tax) again in
1/1,000,000.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from reports.rows import LineRow
from reports.spec import SummaryRow


class PricedLines(NamedTuple):
    """Lines with what they cost, side by side."""

    lines: Sequence[LineRow]
    disc_prices: list[int]  # 1/10,000 of a currency unit
    charges: list[int]  # 1/1,000,000 of a currency unit


@dataclass(slots=True)
class _Group:
    sum_qty: int = 0
    sum_base_price: int = 0
    sum_disc_price: int = 0
    sum_charge: int = 0
    count_order: int = 0


class PricingSummary:
    """Prices lines as they come and keeps the sums of each (returnflag, linestatus)."""

    def __init__(self) -> None:
        self._groups: defaultdict[tuple[str, str], _Group] = defaultdict(_Group)

    def price(self, lines: Sequence[LineRow]) -> PricedLines:
        """Price some lines and add them to the summary.

        disc_price = extendedprice * (1 - discount) and charge = disc_price * (1 + tax), as in
        TPC-H specification 2.4.1 (Q1).
        """
        disc_prices = []
        charges = []
        for _, _, quantity, extendedprice, discount, tax, returnflag, linestatus, _ in lines:
            disc_price = extendedprice * (100 - discount)
            charge = disc_price * (100 + tax)
            disc_prices.append(disc_price)
            charges.append(charge)

            group = self._groups[returnflag, linestatus]
            group.sum_qty += quantity
            group.sum_base_price += extendedprice
            group.sum_disc_price += disc_price
            group.sum_charge += charge
            group.count_order += 1
        return PricedLines(lines, disc_prices, charges)

    def rows(self) -> tuple[SummaryRow, ...]:
        """The summary so far, sorted by (returnflag, linestatus)."""
        return tuple(
            SummaryRow(
                returnflag=returnflag,
                linestatus=linestatus,
                sum_qty=decimal_text(group.sum_qty, 2),
                sum_base_price=decimal_text(group.sum_base_price, 2),
                sum_disc_price=decimal_text(group.sum_disc_price, 4),
                sum_charge=decimal_text(group.sum_charge, 6),
                count_order=group.count_order,
            )
            for (returnflag, linestatus), group in sorted(self._groups.items())
        )


def decimal_text(value: int, places: int) -> str:
    """Write a non-negative integer of 10**-places units as an exact decimal: (1234, 2) -> 12.34."""
    whole, fraction = divmod(value, 10**places)
    return f"{whole}.{fraction:0{places}}"
