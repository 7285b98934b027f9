"""Niceness: one machine plays three tiers, and priorities keep them from starving each other."""

import os
import shutil
import sys
import threading

#: The generator must keep its schedule,
NICE_GENERATOR = 0

#: the APIs come next,
NICE_API = 5

#: then whoever watches them,
NICE_SAMPLER = 10

#: and workers run on what all these leave.
NICE_WORKER = 19


def prefix(nice: int) -> tuple[str, ...]:
    """Return what the command of a process with this niceness has to begin with.

    Whoever wakes up takes the processor from one that is merely nice at the end of its slice, some
    milliseconds later, and those are seen in the p99 of an API. Linux has a policy for work that
    has to do with what others leave (SCHED_IDLE, sched(7)): from that the processor is taken at
    once. Elsewhere niceness has to do.
    """
    chrt = shutil.which("chrt") if sys.platform == "linux" and nice >= NICE_WORKER else None
    return (chrt, "--idle", "0") if chrt else ()


def stand_back() -> None:
    """Have the calling thread come after the APIs and before the workers, for good.

    Only Linux lets a thread have a niceness of its own; elsewhere nothing happens.
    """
    if sys.platform == "linux":
        thread = threading.get_native_id()
        nice = os.getpriority(os.PRIO_PROCESS, thread) + NICE_SAMPLER
        os.setpriority(os.PRIO_PROCESS, thread, min(nice, NICE_WORKER))
