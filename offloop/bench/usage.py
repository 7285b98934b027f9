"""How much of the machine a stack took: pure functions."""

from collections.abc import Iterable, Sequence

from offloop.stack.sampling import ResourceSample


def cores_used(
    samples: Sequence[ResourceSample], names: Iterable[str], until_s: float
) -> float | None:
    """Return the processor seconds that services took in a second, all together.

    Args:
        samples: Of these services, and perhaps others.
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
