"""What was measured of one arm in one block: numbers, and samples of times."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from offloop.load.log import NEVER

__all__ = ["NEVER", "Block", "Recorded", "Sample", "sample"]

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

    def with_number(self, name: str, value: float) -> "Recorded":
        """Return the same with one more number."""
        return Recorded({**self.numbers, name: value}, self.samples)


#: One pass over the arms: arm -> what was measured of it.
Block = Mapping[str, Recorded]


def sample(times: Iterable[float]) -> Sample:
    """Return times as a sample."""
    return tuple(sorted(times))
