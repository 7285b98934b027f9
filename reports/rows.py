"""One line item as it is fetched: the order and the units of its fields.

Everything is an exact integer or a one-letter flag, so that no sum is ever rounded and a driver
has nothing to convert: quantity, discount and tax are in hundredths, the price is in cents, and
the day of shipping counts days since 1970-01-01.
"""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any, TypeAlias

#: Field names, in the order of every fetched row.
FIELDS = (
    "orderkey",
    "linenumber",
    "quantity",
    "extendedprice",
    "discount",
    "tax",
    "returnflag",
    "linestatus",
    "shipday",
)

#: A plain tuple or a SQLAlchemy `Row` with the values of `FIELDS`.
LineRow: TypeAlias = Sequence[Any]

_EPOCH = date(1970, 1, 1)


def day_number(day: date) -> int:
    """Days from 1970-01-01 to `day`, the same count as a Parquet DATE."""
    return (day - _EPOCH).days


def day_from_number(number: int) -> date:
    """The inverse of `day_number`."""
    return _EPOCH + timedelta(days=number)
