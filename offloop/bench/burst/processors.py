"""How many of the machine's processors were there for the lab's own work."""

import os
import time
from typing import NamedTuple, Self

import psutil


class Processors(NamedTuple):
    """What all processors together have done since some moment in the past, in seconds.

    Attributes:
        wall_s: The time that has passed.
        idle_s: With nothing to do.
        ours_s: For this process, and for those of its descendants that have been waited for.
    """

    wall_s: float
    idle_s: float
    ours_s: float

    @classmethod
    def now(cls) -> Self:
        """Read the clocks."""
        idle_s = psutil.cpu_times().idle
        ours = os.times()
        ours_s = ours.user + ours.system + ours.children_user + ours.children_system
        return cls(time.monotonic(), idle_s, ours_s)

    def left_since(self, before: "Processors") -> float | None:
        """Return how many there were on average: those that were idle, and those that were ours.

        What others took, and the host of a virtual machine, is not among them. None if no time has
        passed.
        """
        passed_s = self.wall_s - before.wall_s
        had_s = self.idle_s - before.idle_s + self.ours_s - before.ours_s
        return had_s / passed_s if passed_s > 0 else None
