"""From what a burst's program says to measures: pure functions."""

from collections.abc import Sequence
from statistics import median

from offloop.bench.burst.protocol import Done, Kind, Times
from offloop.measuring import catalogue
from offloop.measuring.instruments.resources import TAKEN
from offloop.measuring.values import Recorded
from offloop.stack.sampling import ResourceSample

_MS = 1000


def names(work: Sequence[Kind]) -> tuple[str, ...]:
    """Return the names of all measures of an arm that does these kinds of work."""
    of_work = (name for kind in work for name in catalogue.names(kind, catalogue.WORK))
    return (*of_work, *(measure.name for measure in catalogue.POOL), TAKEN)


def measure(done: Done, samples: Sequence[ResourceSample], taken: float | None) -> Recorded:
    """Work out the measures of one arm in one block.

    Args:
        done: What the program said.
        samples: The resources of it and its descendants.
        taken: Share of the machine's CPU time that other programs had; None if not known.
    """
    found: dict[str, float] = {}
    for kind, times in done.work.items():
        found |= {f"{kind}.{what}": value for what, value in of_work(times, done.pieces).items()}
    found |= {
        "interpreter.gil": float(done.interpreter.gil),
        "machine.cpus": done.cpus,
        "pool.start_ms": _MS * done.start_s,
    }
    if samples:
        found["pool.memory_peak_bytes"] = max(sample.rss_bytes for sample in samples)
    if taken is not None:
        found[TAKEN] = taken
    return Recorded(found)


def of_work(times: Times, pieces: int) -> dict[str, float]:
    """Work out the measures of one kind of work: those of `catalogue.WORK`."""
    # The speed-up is one of medians: a piece that was held up by something else on the machine
    # makes one pair of times odd, and not the result.
    alone_s, burst_s = median(times.alone_s), median(times.burst_s)
    # Both other programs and the GIL make a burst longer; only the GIL limits it to one core.
    bursts = zip(times.burst_cpu_s, times.burst_s, strict=True)
    return {
        "alone_ms": _MS * alone_s,
        "burst_ms": _MS * burst_s,
        "speedup": pieces * alone_s / burst_s,
        "cores": median(cpu_s / lasted_s for cpu_s, lasted_s in bursts),
    }
