"""What an expectation or a sentence looks at: a measure of one arm, or the ratio of two.

``naive.bystander.p99_ms`` is a measure of the arm ``naive``;
``naive.bystander.p99_ms / fixed.bystander.p99_ms`` is a ratio of two. Three names stand where an
arm's would: ``predicted`` for what theory says, ``calibrated`` for what was measured before the
load began, ``configured`` for what the experiment's own settings say. A measure of plain requests
may be that of those due before an event, or from then on: ``naive.before:kill.bystander.p99_ms``.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import isinf
from statistics import median

from offloop.measuring.catalogue import measure_named
from offloop.measuring.combining import Combined, Weights, combined, in_block
from offloop.measuring.intervals import RESAMPLES, Interval, bootstrap
from offloop.measuring.values import SECOND, Block, Recorded

#: Pseudo-arms: what theory says, what was measured before the load, and what was set.
PREDICTED, CALIBRATED, CONFIGURED = "predicted", "calibrated", "configured"

#: All of them.
PSEUDO_ARMS = (PREDICTED, CALIBRATED, CONFIGURED)


@dataclass(frozen=True)
class Term:
    """One measure of one arm."""

    arm: str
    measure: str

    def __str__(self) -> str:
        return f"{self.arm}.{self.measure}"


@dataclass(frozen=True)
class Observed:
    """What an expression came to.

    Attributes:
        value: Over all blocks; infinite for what never came.
        interval: What it may be as well; None for what is no estimate.
        n: How many values its measures rest on, the fewest of the two.
        blocks: How many blocks it is of.
    """

    value: float
    interval: Interval | None
    n: int
    blocks: int


@dataclass(frozen=True)
class Expression:
    """A term, or a term divided by another."""

    numerator: Term
    denominator: Term | None = None

    @classmethod
    def parse(cls, text: str) -> "Expression":
        """Read ``ARM.MEASURE`` or ``ARM.MEASURE / ARM.MEASURE``.

        Raises:
            ValueError: it is neither, or there is no such measure.
        """
        terms = []
        for part in text.split("/"):
            arm, dot, measure = part.strip().partition(".")
            if not (arm and dot and measure) or " " in part.strip():
                raise ValueError(
                    f"{text!r} is not a measure: write ARM.MEASURE, such as "
                    "'naive.bystander.p99_ms', or ARM.MEASURE / ARM.MEASURE"
                )
            measure_named(measure)
            terms.append(Term(arm, measure))
        match terms:
            case [one]:
                return cls(one)
            case [one, other]:
                return cls(one, other)
            case _:
                raise ValueError(f"{text!r} has more than one '/': a ratio has two sides")

    @property
    def terms(self) -> tuple[Term, ...]:
        """The one or two measures it needs."""
        return (self.numerator, self.denominator) if self.denominator else (self.numerator,)

    @property
    def arms(self) -> frozenset[str]:
        """The arms it is about."""
        return frozenset(term.arm for term in self.terms)

    def over(self, blocks: Sequence[Block], resamples: int = RESAMPLES) -> Observed | None:
        """Work it out over all blocks in which its arms ran; None where a block lacks a measure."""
        both = self._having(blocks)
        sides = [combined(term.measure, [block[term.arm] for block in both]) for term in self.terms]
        known = [side for side in sides if side is not None]
        if len(known) < len(sides):
            return None
        value_of = _value_of(known)
        value = value_of((1,) * len(both))
        if value is None:
            return None
        interval = bootstrap(value_of, len(both), resamples) if len(both) > 1 else None
        return Observed(value, interval, min(side.n for side in known), len(both))

    def in_each(self, blocks: Sequence[Block]) -> list[float] | None:
        """Work it out in each block in which its arms ran; None if one of these lacks it."""
        known = self.known_in(blocks)
        return known if known and len(known) == len(self._having(blocks)) else None

    def known_in(self, blocks: Sequence[Block]) -> list[float]:
        """Work it out in each block in which its arms ran, without those that lack it."""
        values = [self.in_one(block) for block in self._having(blocks)]
        return [value for value in values if value is not None]

    def lacks_in(self, blocks: Sequence[Block]) -> bool:
        """Say whether a block in which its arms ran lacks it."""
        return len(self.known_in(blocks)) < len(self._having(blocks))

    def in_one(self, block: Block) -> float | None:
        """Work it out in one block."""
        sides = [in_block(term.measure, block[term.arm]) for term in self.terms]
        known = [side for side in sides if side is not None]
        return divided(*known) if len(known) == len(sides) else None

    def typical_second(self, blocks: Sequence[Block]) -> float | None:
        """Return the median over all whole seconds of all blocks; None of what has none."""
        values = [
            value
            for block in self._having(blocks)
            for second in _seconds(block, self.arms)
            if (value := self.in_one(second)) is not None
        ]
        return median(values) if values else None

    def _having(self, blocks: Sequence[Block]) -> list[Block]:
        return [block for block in blocks if self.arms <= block.keys()]


def divided(value: float, divisor: float | None = None) -> float | None:
    """Divide one side by the other; None where that has no meaning.

    What never came is infinite: as a numerator it makes the ratio infinite, as a divisor 0.
    """
    if divisor is None:
        return value
    if divisor == 0 or (isinf(value) and isinf(divisor)):
        return None
    return value / divisor


def _value_of(sides: Sequence[Combined]) -> Callable[[Weights], float | None]:
    def value(weights: Weights) -> float | None:
        found = [side.value(weights) for side in sides]
        known = [each for each in found if each is not None]
        return divided(*known) if len(known) == len(found) else None

    return value


def _seconds(block: Block, arms: frozenset[str]) -> Iterator[Block]:
    """Yield the whole seconds that all of these arms have, as if each had been a block."""
    numbers = [
        {
            name.removeprefix(SECOND).partition(".")[0]
            for name in block[arm].samples
            if name.startswith(SECOND)
        }
        for arm in sorted(arms)
    ]
    for number in sorted(set.intersection(*numbers), key=int):
        begin = f"{SECOND}{number}."
        yield {
            arm: Recorded(
                samples={
                    name.removeprefix(begin): times
                    for name, times in block[arm].samples.items()
                    if name.startswith(begin)
                }
            )
            for arm in arms
        }
