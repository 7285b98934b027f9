"""What an expectation looks at: a measure of one arm, or the ratio of two.

``naive.bystander.p99_ms`` is a measure of the arm ``naive``;
``naive.bystander.p99_ms / fixed.bystander.p99_ms`` is a ratio of two. The name ``predicted``
stands where an arm's would for what theory says. A measure of plain requests may be that of those
due before an event, or from then on, ``naive.before:kill.bystander.p99_ms``, or of those due in one
second of the load: ``naive.second:0.bystander.p99_ms``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

#: The measures of one arm: name -> value. What was not measured is absent.
Measures = Mapping[str, float]

#: The pseudo-arm that holds what theory predicts.
PREDICTED = "predicted"

#: What measures begin with that are of one second.
_SECOND = "second:"


@dataclass(frozen=True)
class Term:
    """One measure of one arm."""

    arm: str
    measure: str

    def value(self, arms: Mapping[str, Measures]) -> float | None:
        """Look it up; None where it was not measured."""
        return arms.get(self.arm, {}).get(self.measure)


@dataclass(frozen=True)
class Expression:
    """A term, or a term divided by another."""

    numerator: Term
    denominator: Term | None = None

    @classmethod
    def parse(cls, text: str) -> "Expression":
        """Read ``ARM.MEASURE`` or ``ARM.MEASURE / ARM.MEASURE``.

        Raises:
            ValueError: it is neither.
        """
        terms = []
        for part in text.split("/"):
            arm, dot, measure = part.strip().partition(".")
            if not (arm and dot and measure) or " " in part.strip():
                raise ValueError(
                    f"{text!r} is not a measure: write ARM.MEASURE, such as "
                    "'naive.bystander.p99_ms', or ARM.MEASURE / ARM.MEASURE"
                )
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

    def value(self, arms: Mapping[str, Measures]) -> float | None:
        """Work it out; None where a measure is missing or the ratio has no meaning."""
        value = self.numerator.value(arms)
        if self.denominator is None or value is None:
            return value
        divisor = self.denominator.value(arms)
        return value / divisor if divisor else None


def in_second(number: int) -> str:
    """Return what measures begin with that are of one second of the load, from 0."""
    return f"{_SECOND}{number}."


def seconds_of(blocks: Sequence[Mapping[str, Measures]]) -> list[dict[str, Measures]]:
    """Return the seconds of all blocks as if each had been a block, with what is known of each.

    An arm to which something was done before a second was over did not run in it.
    """
    return [
        {arm: found for arm, measures in block.items() if (found := _of(begin, measures))}
        for block in blocks
        for begin in map(in_second, _seconds(block))
    ]


def _of(begin: str, measures: Measures) -> Measures:
    return {
        name.removeprefix(begin): value
        for name, value in measures.items()
        if name.startswith(begin)
    }


def _seconds(block: Mapping[str, Measures]) -> list[int]:
    names = (name for measures in block.values() for name in measures if name.startswith(_SECOND))
    return sorted({int(name.removeprefix(_SECOND).partition(".")[0]) for name in names})


def observe(measure: str, blocks: Sequence[Mapping[str, Measures]]) -> float | None:
    """Return the median over blocks of a measure, or of a ratio taken within each block.

    A ratio taken within a block compares arms that ran under the same seed within the same
    minute. If a block lacks the measure, so does the result: a median of the blocks that
    happened to work would flatter.

    Raises:
        ValueError: ``measure`` is no expression.
    """
    values = in_every_block(measure, blocks)
    return median(values) if values else None


def in_every_block(measure: str, blocks: Sequence[Mapping[str, Measures]]) -> list[float] | None:
    """Return the value of an expression in each block; None if there is a block without one.

    A block in which an arm did not run at all has nothing to say about it.

    Raises:
        ValueError: ``measure`` is no expression.
    """
    expression = Expression.parse(measure)
    arms = {term.arm for term in expression.terms}
    values = [expression.value(block) for block in blocks if arms <= block.keys()]
    present = [value for value in values if value is not None]
    return present if present and len(present) == len(values) else None
