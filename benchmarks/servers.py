"""Servers to measure against, each in a process of its own."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_STALLING_SERVER = Path(__file__).parents[1] / "tests" / "load" / "stalling_server.py"

#: Niceness of the lab's servers; the generator runs at 0.
_NICENESS = 5

_EXIT_DEADLINE_S = 30.0


@contextmanager
def stalling_server(log: Path, *, stall_s: float = 0.0, every_s: float = 1.0) -> Iterator[str]:
    """Run a server that stands still for `stall_s` in every `every_s`; give its URL.

    Args:
        log: Has, after the block, a line `X-Request-Id,moment` for each answer: the
            CLOCK_MONOTONIC moment in seconds at which it left.
        stall_s: Length of a stall in seconds; 0 for a server that never stalls.
        every_s: Seconds from one stall's end to the next one's.
    """
    command = [
        *(sys.executable, str(_STALLING_SERVER), str(log)),
        *(f"--stall={stall_s}", f"--every={every_s}"),
    ]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None  # noqa: S101 - a pipe was asked for
        os.setpriority(os.PRIO_PROCESS, server.pid, _NICENESS)
        try:
            yield f"http://127.0.0.1:{int(server.stdout.readline())}"
        finally:
            # End of input: the server writes its log and ends.
            server.communicate(timeout=_EXIT_DEADLINE_S)
