"""From the blocks of a run to one value of a measure, as the catalogue says that they combine.

Blocks come with weights: how often each counts. With all weights 1 it is the run's value; with the
weights of a bootstrap it is that of one resample. Values are prepared once and combined thousands
of times.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import ceil

from offloop.load.percentiles import RANK_DECIMALS
from offloop.measuring.catalogue import measure_named, sample_name
from offloop.measuring.measure import Kind, Measure
from offloop.measuring.values import NEVER, Recorded

Weights = Sequence[int]


@dataclass(frozen=True)
class Combined:
    """One measure of one arm over some blocks.

    Attributes:
        measure: Its declaration.
        per_block: Of a measure that is one number a block, those numbers; else empty.
        pooled: Of one that is taken from a sample, all values, descending.
        largest: For each block, how many of the first i values are its own: for every i from 0.
        sizes: How many values each block has.
    """

    measure: Measure
    per_block: tuple[float, ...]
    pooled: tuple[float, ...]
    largest: tuple[Sequence[int], ...]
    sizes: tuple[int, ...]

    @property
    def n(self) -> int:
        """How many values it rests on: of a sample, or blocks."""
        return sum(self.sizes)

    def value(self, weights: Weights) -> float | None:
        """Combine the blocks, each as often as its weight says; None where nothing is left."""
        return self._of_sample(weights) if self.measure.sample else self._of_numbers(weights)

    def _of_numbers(self, weights: Weights) -> float | None:
        chosen = [(value, w) for value, w in zip(self.per_block, weights, strict=True) if w]
        if not chosen:
            return None
        match self.measure.kind:
            case Kind.COUNT:
                return sum(value * w for value, w in chosen)
            case Kind.MAXIMUM:
                return max(value for value, _ in chosen)
            case Kind.MINIMUM:
                return min(value for value, _ in chosen)
            case _:
                return _median(sorted(chosen))

    def _of_sample(self, weights: Weights) -> float | None:
        size = sum(n * w for n, w in zip(self.sizes, weights, strict=True))
        if not size:
            return None
        match self.measure.kind:
            case Kind.PERCENTILE:
                rank = ceil(round(self.measure.percent * size / 100, RANK_DECIMALS))
                return self._largest(size - max(rank, 1) + 1, weights)
            case Kind.SHARE:
                return self._above(weights) / size
            case _:
                return self._largest(1, weights)

    def _largest(self, place: int, weights: Weights) -> float:
        """Return the value that is this far from the top, which has place 1."""
        index = bisect_left(range(len(self.pooled)), place, key=lambda i: self._first(i, weights))
        return self.pooled[index - 1]

    def _above(self, weights: Weights) -> int:
        index = bisect_left(self.pooled, -self.measure.above_ms, key=lambda value: -value)
        return self._first(index, weights)

    def _first(self, number: int, weights: Weights) -> int:
        """Count the first values, each as often as its block's weight says."""
        own = (each[number] * w for each, w in zip(self.largest, weights, strict=True) if w)
        return sum(own)


def combined(name: str, blocks: Sequence[Recorded]) -> Combined | None:
    """Prepare a measure of one arm.

    Args:
        name: Of the measure, with its subject.
        blocks: Of the arm; every one counts.

    Returns:
        None where a block lacks the measure: a value of those blocks that happened to have it would
        flatter.

    Raises:
        UnknownMeasureError: there is no such measure.
    """
    measure = measure_named(name)
    if measure.sample is None:
        numbers = [block.numbers.get(name) for block in blocks]
        known = tuple(number for number in numbers if number is not None)
        if not known or len(known) < len(numbers):
            return None
        return Combined(measure, known, (), (), (1,) * len(known))
    of = sample_name(name)
    if not blocks or any(of not in block.samples for block in blocks):
        return None
    times = [
        [time for time in block.samples[of] if not (measure.answered_only and time == NEVER)]
        for block in blocks
    ]
    pooled = sorted(
        ((time, number) for number, each in enumerate(times) for time in each), reverse=True
    )
    if not pooled:
        return None
    own = tuple(
        tuple(accumulate((number == block for _, number in pooled), initial=0))
        for block in range(len(blocks))
    )
    values = tuple(value for value, _ in pooled)
    return Combined(measure, (), values, own, tuple(map(len, times)))


def in_block(name: str, block: Recorded) -> float | None:
    """Return a measure as it is in one block; None where the block lacks it."""
    found = combined(name, [block])
    return None if found is None else found.value((1,))


def _median(chosen: Sequence[tuple[float, int]]) -> float:
    """Return the median of ascending values that count as often as their weights say."""
    total = sum(w for _, w in chosen)
    lower = upper = NEVER
    passed = 0
    for value, w in chosen:
        before, passed = passed, passed + w
        if before <= (total - 1) // 2 < passed:
            lower = value
        if before <= total // 2 < passed:
            upper = value
    return (lower + upper) / 2
