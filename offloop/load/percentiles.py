"""Nearest-rank percentiles: always a value that was really measured."""

import math
from collections.abc import Iterable, Sequence
from typing import Self

from pydantic import BaseModel, ConfigDict

#: Decimals kept before rounding a rank up: 99.9 % of 1,000 is rank 999, not the 1,000 that
#: binary floating point (999.0000000000001) would make of it.
RANK_DECIMALS = 9


def nearest_rank(ordered: Sequence[float], percent: float) -> float | None:
    """Give the smallest value that at least `percent` percent of all values do not exceed.

    Args:
        ordered: The values, ascending.
        percent: Above 0, at most 100.

    Returns:
        One of the values (rank `ceil(percent / 100 * n)`), or None when there are none.

    Raises:
        ValueError: `percent` is outside (0, 100].
    """
    if not 0 < percent <= 100:  # noqa: PLR2004 - a percentage
        raise ValueError(f"percent is {percent}; it must be above 0 and at most 100")
    if not ordered:
        return None
    rank = math.ceil(round(percent * len(ordered) / 100, RANK_DECIMALS))
    return ordered[max(rank, 1) - 1]


class Percentiles(BaseModel):
    """The tail of one quantity, in the unit of the values it was made from."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    p50: float
    p90: float
    p95: float
    p99: float
    max: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Self | None:
        """Summarise `values`, in any order; None when there are none."""
        ordered = sorted(values)
        if not ordered:
            return None
        ranks = {f"p{percent}": nearest_rank(ordered, percent) for percent in (50, 90, 95, 99)}
        return cls.model_validate({**ranks, "max": ordered[-1]})
