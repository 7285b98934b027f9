"""What a measure is: name, unit, heading, kind, and so how blocks combine.

Each instrument declares its measures with these; `catalogue` has all of them.
"""

from dataclasses import dataclass
from enum import StrEnum


class Unit(StrEnum):
    """What a value is counted in. The string is what a text shows behind it."""

    MS = "ms"
    COUNT = ""
    BYTES = "bytes"
    SHARE = "%"
    SECONDS = "s"
    MICROSECONDS = "µs"
    CORES = "cores"
    PER_SECOND = "jobs/s"
    RATIO = "times"


class Kind(StrEnum):
    """What a measure is, and so how the blocks of a run combine to one value."""

    #: Of a sample; the samples of all blocks are pooled.
    PERCENTILE = "percentile"
    #: Of a sample: the share above a limit; the samples of all blocks are pooled.
    SHARE = "share"
    #: The largest of all blocks.
    MAXIMUM = "maximum"
    #: The smallest of all blocks.
    MINIMUM = "minimum"
    #: The sum of all blocks.
    COUNT = "count"
    #: A rate, a ratio or a size of one block; the median of all blocks.
    LEVEL = "level"


class Better(StrEnum):
    """Which way is better."""

    LOWER = "lower"
    HIGHER = "higher"
    NEITHER = "neither"


@dataclass(frozen=True)
class Measure:
    """One measure.

    Attributes:
        name: The last part of its name, or the whole name where there is only one subject.
        heading: In tables, after the name of the subject.
        unit: Of its values.
        kind: How blocks combine.
        better: Which way is better.
        sample: The sample that it is taken from; None where a block has it as a number.
        percent: Of a percentile.
        above_ms: Of a share: values above this count.
        answered_only: Whether what never came is left out.
        promise: Whether a cure that has any of it has broken a promise: noise excuses nothing.
        shown: Whether tables show it where nothing is said.
    """

    name: str
    heading: str
    unit: Unit
    kind: Kind
    better: Better = Better.LOWER
    sample: str | None = None
    percent: float = 0.0
    above_ms: float = 0.0
    answered_only: bool = False
    promise: bool = False
    shown: bool = True

    @property
    def needs(self) -> int:
        """How many values it takes; with fewer, a percentile is the largest of them.

        A p95 takes 20 values, a p99 takes 100: one of them is above it then.
        """
        if self.kind is not Kind.PERCENTILE:
            return 1
        return round(100 / (100 - self.percent))


def percentile(name: str, heading: str, of: str, percent: float, *, shown: bool = True) -> Measure:
    """Declare a percentile of a sample of times."""
    return Measure(name, heading, Unit.MS, Kind.PERCENTILE, sample=of, percent=percent, shown=shown)


def count(
    name: str,
    heading: str,
    better: Better = Better.NEITHER,
    *,
    promise: bool = False,
    shown: bool = True,
) -> Measure:
    """Declare a count."""
    return Measure(name, heading, Unit.COUNT, Kind.COUNT, better, promise=promise, shown=shown)
