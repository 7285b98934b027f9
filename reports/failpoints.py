r"""Failpoints: places in the work where a test or an experiment can kill or freeze the process.

A failure at a random moment hardly ever falls between a rename and the next line. With
`OFFLOOP_FAILPOINTS` naming a Unix socket, work that reaches a failpoint announces it there and
waits for an answer. Without the variable, or where nothing answers, a failpoint costs nothing and
changes nothing.

One line for each failpoint, `PID FAILPOINT JOB_ID\n` (job id `-` where there is none), is answered
with one byte.
"""

import os
import socket
from enum import StrEnum

#: Names the socket.
FAILPOINTS_VARIABLE = "OFFLOOP_FAILPOINTS"


class Failpoint(StrEnum):
    """Where a job in a worker can be stopped, in order."""

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

    def announce(self, path: str, failpoint: Failpoint, job_id: str) -> None:
        pid = os.getpid()
        if self._made_for != (pid, path):
            self._close()
            self._made_for, self._connection = (pid, path), _connect(path)
        if self._connection is None:
            return
        try:
            self._connection.sendall(f"{pid} {failpoint} {job_id or '-'}\n".encode())
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


def reached(failpoint: Failpoint, job_id: str = "") -> None:
    """Announce that this process has reached a failpoint, and go on when the listener answers."""
    path = os.environ.get(FAILPOINTS_VARIABLE)
    if path:
        _announcer.announce(path, failpoint, job_id)


def _connect(path: str) -> socket.socket | None:
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(path)
    except OSError:
        connection.close()
        return None
    return connection
