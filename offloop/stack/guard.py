"""The guard process: ends every process of a lab when the lab itself has ended.

Started once by each lab, before its first service (see `offloop.stack.lab`):

    python -m offloop.stack.guard MARK LAB_PID FOLDER

Standard input is a pipe whose other end the lab holds. Lines on it say which process groups belong
to the lab: `+N` begins one, `-N` says it is gone. The end of the pipe means that the lab has
exited, crashed or was killed; then everything that is still there is killed, until two scans in a
row find nothing, and the folder is removed.
"""

import os
import select
import shutil
import signal
import sys
import time

import psutil

from offloop.stack import processes

#: The line that tells the lab that the guard is on duty.
READY = b"ready\n"

_STDIN = 0

#: Seconds between looks at the parent's pid: a forked child of the lab may hold the pipe open.
_PARENT_CHECK_S = 0.5

#: Seconds between two scans for survivors.
_SCAN_PAUSE_S = 0.02

#: Seconds after which processes that survive SIGKILL (stuck in the kernel) are left alone.
_GIVE_UP_S = 30.0


def main() -> None:
    """Wait for the end of the lab, then clean up after it."""
    mark, lab_pid, folder = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGTSTP):
        signal.signal(number, signal.SIG_IGN)
    os.write(sys.stdout.fileno(), READY)
    _let_go_of_output()
    groups = listen(lab_pid)
    end_all(mark, groups)
    shutil.rmtree(folder, ignore_errors=True)


def listen(lab_pid: int) -> set[int]:
    """Read the pipe until the lab has ended.

    Args:
        lab_pid: The process whose end is awaited: the parent of this one.

    Returns:
        The process groups that belonged to the lab then.
    """
    groups: set[int] = set()
    rest = b""
    while True:
        lab_is_gone = os.getppid() != lab_pid
        readable, _, _ = select.select([_STDIN], [], [], _PARENT_CHECK_S)
        if not readable:
            if lab_is_gone:
                return groups
            continue
        received = os.read(_STDIN, 65_536)
        if not received:
            return groups
        *lines, rest = (rest + received).split(b"\n")
        for line in lines:
            change = groups.add if line.startswith(b"+") else groups.discard
            change(int(line[1:]))


def end_all(mark: str, groups: set[int]) -> None:
    """Kill every process that carries the mark, is in one of the groups, or descends from one."""
    deadline = time.monotonic() + _GIVE_UP_S
    known: list[psutil.Process] = []
    empty_scans = 0
    # One scan can miss a process that is forked while it runs, so it takes two to be sure.
    while empty_scans < 2 and time.monotonic() < deadline:  # noqa: PLR2004 - said above
        known = processes.find([mark], groups, known)
        processes.kill(known)
        empty_scans = 0 if known else empty_scans + 1
        time.sleep(_SCAN_PAUSE_S)


def _let_go_of_output() -> None:
    # A program that reads the lab's output to its end must not have to wait for the guard.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.dup2(nowhere, sys.stderr.fileno())
    os.close(nowhere)


if __name__ == "__main__":
    main()
