"""Niceness: one machine plays three tiers, and priorities keep them from starving each other."""

import os
import shutil
import sys
import threading

#: The generator comes first: it must keep its schedule.
NICE_GENERATOR = 0

#: The APIs come next.
NICE_API = 5

#: Then the threads that sample them.
NICE_SAMPLER = 10

#: Workers run on the processor time that all these leave.
NICE_WORKER = 19


def prefix(nice: int) -> tuple[str, ...]:
    """Return what the command of a process with this niceness has to begin with.

    A process that wakes up preempts one that is merely nice only at the end of its time slice, some
    milliseconds later, and these show in the p99 of an API. Linux has a policy for processes that
    run only on idle processor time (SCHED_IDLE, sched(7)): they are preempted at once. Other
    systems have niceness only.
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
