"""The CPU time that one report takes in all processes of a stack, while nothing else is done."""

from collections.abc import Callable, Mapping, Sequence
from typing import Self

from offloop.measuring.instruments.instrument import Instrument
from offloop.measuring.measure import Kind, Measure, Unit
from offloop.measuring.rows import Rows
from offloop.measuring.values import Recorded
from offloop.stack.idle import cpu_seconds

#: Of a stream of orders.
OF_ORDERS = (
    Measure("alone_cpu_s", "CPU time of one, alone", Unit.SECONDS, Kind.LEVEL, shown=False),
)


class AloneCpu(Instrument):
    """Has one report of each stream built before the load.

    The API's part is in its CPU time, and so are the requests of the one client that waits.

    Args:
        pids: Gives the process ids of the stack, by service.
        builds: For each stream, has a report built and returns when it is there.
    """

    def __init__(
        self,
        pids: Callable[[], Mapping[str, Sequence[int]]],
        builds: Mapping[str, Callable[[], object]],
    ) -> None:
        self._pids = pids
        self._builds = builds
        self._cpu_s: dict[str, float] = {}

    def __enter__(self) -> Self:
        for stream, build in self._builds.items():
            before = cpu_seconds(self._pids())
            build()
            after = cpu_seconds(self._pids())
            self._cpu_s[stream] = sum(after.values()) - sum(before.values())
        return self

    def measured(self, rows: Rows) -> Recorded:  # noqa: ARG002 - measured before the load
        """Return what was measured before the load."""
        return Recorded({f"{stream}.alone_cpu_s": cpu_s for stream, cpu_s in self._cpu_s.items()})
