"""Niceness: one machine plays three tiers, and priorities keep them from starving each other."""

import os
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


def stand_back() -> None:
    """Have the calling thread come after the APIs and before the workers, for good.

    Only Linux lets a thread have a niceness of its own; elsewhere nothing happens.
    """
    if sys.platform == "linux":
        thread = threading.get_native_id()
        nice = os.getpriority(os.PRIO_PROCESS, thread) + NICE_SAMPLER
        os.setpriority(os.PRIO_PROCESS, thread, min(nice, NICE_WORKER))
