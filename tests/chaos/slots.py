"""Where each slot is, and how long the jobs of killed slots wait until they run again."""

import time
from dataclasses import dataclass, replace
from logging import Logger

from offloop.stack.failpoints import Announcement
from offloop.stack.supervisor import Stack
from reports.failpoints import Failpoint


@dataclass
class _Killed:
    pid: int
    at_s: float
    fetched_by: int | None = None


class Slots:
    """Follows the processes of the slots from failpoint to failpoint.

    Several threads use it. Each announcement of a process is noted before the next one.

    Attributes:
        latest: Where each process was seen last.
        recoveries_s: Seconds that each job of a killed slot waited until it ran again.
    """

    def __init__(self, stack: Stack, journal: Logger) -> None:
        self.latest: dict[int, Announcement] = {}
        self.recoveries_s: list[float] = []
        self._stack = stack
        self._journal = journal
        self._names: dict[int, str] = {}
        self._killed: dict[str, _Killed] = {}

    def name(self, pid: int) -> str:
        """Return the name of the slot that a process works for."""
        if pid not in self._names:
            for name, pids in self._stack.pids().items():
                self._names.update(dict.fromkeys(pids, name))
        return self._names.get(pid, "?")

    def in_hand(self) -> bool:
        """Whether any slot has a job in hand."""
        return any(seen.failpoint != Failpoint.IDLE for seen in list(self.latest.values()))

    def pending(self) -> bool:
        """Whether the job of a killed slot still waits for another one."""
        return bool(self._killed)

    def reached(self, seen: Announcement) -> None:
        """Note where a process is."""
        before = self.latest.get(seen.pid)
        # Code that writes a file does not know for which job: the one that was fetched.
        if before and not seen.job_id and seen.failpoint != Failpoint.IDLE:
            seen = replace(seen, job_id=before.job_id)
        self.latest[seen.pid] = seen
        name = self.name(seen.pid)
        self._journal.info("%s [%d] %s %s", name, seen.pid, seen.failpoint, seen.job_id)
        self._look_for_recovery(seen)

    def gone(self, pid: int) -> None:
        """Note the end of a process."""
        self.latest.pop(pid, None)

    def killed(self, seen: Announcement) -> None:
        """Begin to measure how long the job of a killed slot waits."""
        self._killed[seen.job_id] = _Killed(seen.pid, time.monotonic())

    def _look_for_recovery(self, seen: Announcement) -> None:
        killed = self._killed.get(seen.job_id)
        if killed is None or seen.pid == killed.pid:
            return
        if seen.failpoint == Failpoint.FETCH:
            killed.fetched_by = seen.pid
        elif seen.pid == killed.fetched_by:  # not a slot that was frozen with this job before
            del self._killed[seen.job_id]
            self.recoveries_s.append(time.monotonic() - killed.at_s)
            self._journal.info("job %s runs again", seen.job_id)
