r"""Observable steps: where exactly work is, for those who want to interfere right there.

A failure at a random moment hardly ever falls between a rename and the next line. With
`OFFLOOP_STEPS` naming a Unix socket, work that reaches a step says so on it and waits for an
answer, so that an experiment or a test can kill or freeze the process at that very step. Without
it, and whenever nobody answers, a step costs nothing and changes nothing.

One line for each step, `PID STEP JOB_ID\n` (job id `-` where there is none), is answered with one
byte.
"""

import os
import socket
from enum import StrEnum

#: Names the socket.
STEPS_VARIABLE = "OFFLOOP_STEPS"


class Step(StrEnum):
    """The steps of a job in a worker, in their order."""

    FETCH = "fetch"
    #: In the middle: the first lines of its file have been written, and not the last ones.
    WRITE = "write"
    BEFORE_RENAME = "before_rename"
    AFTER_RENAME = "after_rename"
    AFTER_BILLING = "after_billing"
    BEFORE_ACK = "before_ack"
    IDLE = "idle"


class _Announcer:
    """The connection of this process; made on first use, because workers fork."""

    def __init__(self) -> None:
        self._made_for: tuple[int, str] | None = None
        self._connection: socket.socket | None = None

    def announce(self, path: str, step: Step, job_id: str) -> None:
        pid = os.getpid()
        if self._made_for != (pid, path):
            self._close()
            self._made_for, self._connection = (pid, path), _connect(path)
        if self._connection is None:
            return
        try:
            self._connection.sendall(f"{pid} {step} {job_id or '-'}\n".encode())
            answered = self._connection.recv(1)
        except OSError:
            answered = b""
        if not answered:
            self._close()

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


_announcer = _Announcer()


def reached(step: Step, job_id: str = "") -> None:
    """Say that this process has reached a step, and go on when whoever listens says so."""
    path = os.environ.get(STEPS_VARIABLE)
    if path:
        _announcer.announce(path, step, job_id)


def _connect(path: str) -> socket.socket | None:
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(path)
    except OSError:
        connection.close()
        return None
    return connection
