"""What an arm takes: processes, memory, cores; and what other programs took meanwhile."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from offloop.measuring.instruments.instrument import Instrument, RawRow
from offloop.measuring.measure import Kind, Measure, Unit
from offloop.measuring.noise import Watch
from offloop.measuring.rows import Rows
from offloop.measuring.values import Recorded
from offloop.stack.sampling import ResourceSample

#: The share of the machine's CPU time that its host and other programs had.
TAKEN = "machine.taken_share"

#: Of the API.
OF_API = (
    Measure("api.memory_peak_bytes", "memory of the API", Unit.BYTES, Kind.MAXIMUM, shown=False),
)

MEASURES = (
    Measure("stack.processes", "processes", Unit.COUNT, Kind.LEVEL),
    Measure("stack.cores_used", "cores used", Unit.CORES, Kind.LEVEL, shown=False),
    Measure("stack.memory_peak_bytes", "memory", Unit.BYTES, Kind.MAXIMUM),
    Measure("lab.memory_peak_bytes", "memory of everything", Unit.BYTES, Kind.MAXIMUM, shown=False),
)

#: Of the machine.
OF_MACHINE = (
    Measure(TAKEN, "machine taken by other programs", Unit.SHARE, Kind.MAXIMUM, shown=False),
)

_Pids = Callable[[], Mapping[str, Sequence[int]]]


class Resources(Watch, Instrument):
    """Samples memory and CPU time of everything that the lab runs.

    Args:
        stack: Gives the process ids of the services behind the arm, by name.
        lab: Gives those of everything that belongs to the lab.
        api: Name of the API's service.
    """

    def __init__(self, stack: _Pids, lab: _Pids, api: str) -> None:
        super().__init__(lab)
        self._stack = stack
        self._api = api

    def measured(self, rows: Rows) -> Recorded:
        """Work out what the arm took, and what was taken from it."""
        needed = {name: len(pids) for name, pids in self._stack().items()}
        found = resource_measures(self.samples, self._api, needed, rows.undisturbed_until_s)
        return Recorded.of({**found, TAKEN: self.taken})

    def tables(self) -> Mapping[str, Sequence[RawRow]]:
        """Return the samples."""
        return {"samples": self.samples}


def resource_measures(
    samples: Sequence[ResourceSample], api: str, needed: Mapping[str, int], until_s: float
) -> dict[str, float | None]:
    """Work out what an arm takes.

    Args:
        samples: Of every process of the stack, and of everything else that the lab runs.
        api: Name of the API's service.
        needed: The services that the arm needs, with their numbers of processes.
        until_s: On CLOCK_MONOTONIC; CPU time after that does not count.
    """
    peaks: dict[str, int] = {}
    for sample in samples:
        peaks[sample.name] = max(peaks.get(sample.name, 0), sample.rss_bytes)
    return {
        "api.memory_peak_bytes": peaks.get(api),
        "stack.processes": sum(needed.values()),
        "stack.cores_used": cores_used(samples, needed, until_s),
        # Sums of each process's own peak: at least what all held at any one moment.
        "stack.memory_peak_bytes": _total(peaks, needed),
        "lab.memory_peak_bytes": _total(peaks, peaks),
    }


def _total(peaks: Mapping[str, int], names: Iterable[str]) -> int | None:
    found = [peaks.get(name) for name in names]
    known = [peak for peak in found if peak is not None]
    return sum(known) if known and len(known) == len(found) else None


def cores_used(
    samples: Sequence[ResourceSample], names: Iterable[str], until_s: float
) -> float | None:
    """Return the processor seconds that services took in a second, all together.

    Args:
        samples: Of these services, and perhaps of further ones.
        names: The services.
        until_s: On CLOCK_MONOTONIC; what was sampled later does not count. A process that is
            started again counts its time anew.

    Returns:
        Cores; None where there are no two samples of each.
    """
    total = 0.0
    for name in names:
        own = [each for each in samples if each.name == name and each.monotonic_s <= until_s]
        if len(own) < 2:  # noqa: PLR2004 - a difference has two sides
            return None
        first, last = own[0], own[-1]
        total += (last.cpu_s - first.cpu_s) / (last.monotonic_s - first.monotonic_s)
    return total
