"""Intervals: the percentile bootstrap over blocks.

The block is the unit, never the request: requests of one block wait for the same stalls. Blocks are
drawn with replacement, both arms of a ratio from the same block, and the measure is combined anew
(B. Efron and R. Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13).

Of few blocks the interval is too narrow: of three it is their range, which holds the median of all
possible blocks in 75% of cases. Limits are therefore far from what healthy arms measure.
"""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache
from typing import NamedTuple

from offloop.load.percentiles import nearest_rank

#: Share of resamples inside of an interval.
CONFIDENCE = 0.95

#: Resamples: the ends of the interval rest on fifty of them each.
RESAMPLES = 2_000


class Interval(NamedTuple):
    """What a value may be as well, as far as the blocks tell."""

    low: float
    high: float


def bootstrap(
    value: Callable[[Sequence[int]], float | None], blocks: int, resamples: int = RESAMPLES
) -> Interval | None:
    """Return the interval of a value.

    Args:
        value: Gives it from the weight of each block; None where it has no meaning.
        blocks: How many there are.
        resamples: How often blocks are drawn.

    Returns:
        None where no resample has a value. The same blocks always have the same interval.
    """
    found: list[float] = []
    for weights, times in _resampled(blocks, resamples):
        each = value(weights)
        if each is not None:
            found += [each] * times
    found.sort()
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = nearest_rank(found, tail), nearest_rank(found, 100 - tail)
    return None if low is None or high is None else Interval(low, high)


@cache
def _resampled(blocks: int, resamples: int) -> tuple[tuple[tuple[int, ...], int], ...]:
    """Draw blocks with replacement; return distinct weights, and how often each was drawn."""
    draw = random.Random(blocks)  # noqa: S311 - not for secrets; the same for every run
    drawn = Counter(tuple(sorted(draw.choices(range(blocks), k=blocks))) for _ in range(resamples))
    return tuple(
        (tuple(chosen.count(number) for number in range(blocks)), times)
        for chosen, times in drawn.items()
    )
