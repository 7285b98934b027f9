"""How much of the machine other programs used while a program of the lab ran.

Unlike `offloop.measuring.noise`, this needs no samples. Samples miss what a program does before the
first of them, and what short-lived processes do. But a program counts here only once it has ended.
"""

import os
from typing import NamedTuple, Self

import psutil

#: Time in which a processor could have done something else: waiting for a disk keeps none busy.
_FREE = ("idle", "iowait")


class Processors(NamedTuple):
    """What all processors together have done since some moment in the past, in seconds.

    Attributes:
        total_s: All of the time, including steal time: what the host of a virtual machine gave to
            its other guests.
        free_s: Idle time.
        ours_s: Work of this process, and of those of its descendants that have been waited for.
    """

    total_s: float
    free_s: float
    ours_s: float

    @classmethod
    def now(cls) -> Self:
        """Read the clocks."""
        times = psutil.cpu_times()._asdict()
        ours = os.times()
        return cls(
            # Guest time is counted in user time already.
            total_s=sum(value for name, value in times.items() if not name.startswith("guest")),
            free_s=sum(times.get(name, 0.0) for name in _FREE),
            ours_s=ours.user + ours.system + ours.children_user + ours.children_system,
        )

    def taken_since(self, before: "Processors") -> float | None:
        """Return the share that was neither free nor ours; None if no time has passed."""
        passed_s = self.total_s - before.total_s
        had_s = self.free_s - before.free_s + self.ours_s - before.ours_s
        # Both clocks tick in hundredths of a second.
        return max(0.0, 1 - had_s / passed_s) if passed_s > 0 else None
