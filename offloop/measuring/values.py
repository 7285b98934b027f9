"""What was measured of one arm in one block: numbers, and samples of times."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from offloop.load.log import NEVER

__all__ = ["NEVER", "SECOND", "Block", "Recorded", "Sample", "merged", "sample", "second_of"]

#: What the subjects begin with that are of one second of the load.
SECOND = "second:"

#: Ascending times, `NEVER` included.
Sample = tuple[float, ...]


@dataclass(frozen=True)
class Recorded:
    """What was measured of one arm in one block. What was not measured is absent.

    Attributes:
        numbers: Measure -> value, for what is one number a block.
        samples: Name of a sample -> its times, milliseconds, from which percentiles, maxima and
            shares are taken: ``bystander.response_ms``.
    """

    numbers: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    samples: Mapping[str, Sample] = field(default_factory=lambda: MappingProxyType({}))

    @classmethod
    def of(cls, numbers: Mapping[str, float | None]) -> "Recorded":
        """Keep the numbers that are known."""
        return cls({name: value for name, value in numbers.items() if value is not None})

    def with_number(self, name: str, value: float) -> "Recorded":
        """Return the same with one more number."""
        return Recorded({**self.numbers, name: value}, self.samples)


#: One pass over the arms: arm -> what was measured of it.
Block = Mapping[str, Recorded]


def sample(times: Iterable[float]) -> Sample:
    """Return times as a sample."""
    return tuple(sorted(times))


def merged(parts: Iterable[Recorded]) -> Recorded:
    """Put together what several instruments recorded."""
    numbers: dict[str, float] = {}
    samples: dict[str, Sample] = {}
    for part in parts:
        numbers |= part.numbers
        samples |= part.samples
    return Recorded(numbers, samples)


def second_of(number: int, stream: str) -> str:
    """Return the subject of what a stream had in one second of the load, from 0."""
    return f"{SECOND}{number}.{stream}"
