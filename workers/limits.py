"""A limit on the time of one attempt that nothing can outlast."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """End this process if the block takes longer.

    Dramatiq's time limit raises an exception in the thread, which neither a system call nor C code
    that holds the interpreter's lock ever sees. The kernel's alarm ends the process whatever it is
    doing: a slot is replaceable, and its job is delivered to another one. The clock runs on while
    the process is frozen.

    Works because a slot has one thread for jobs, and nobody in it handles SIGALRM.
    """
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
