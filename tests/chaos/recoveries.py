"""How long the jobs of killed slots wait until they run again."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from reports.failpoints import Failpoint
from tests.chaos.failpoints import Sighting


@dataclass(frozen=True)
class Recovery:
    """From the death of a slot to the moment at which its job ran again.

    Attributes:
        job_id: The job that was in hand.
        seconds: How long that took.
        disturbed: Whether anything else was broken, or being started again, in between.
    """

    job_id: str
    seconds: float
    disturbed: bool


@dataclass
class _Pending:
    pid: int
    since_s: float
    disturbed: bool
    fetched_by: int | None = None


class Recoveries:
    """Clocks, one for each job that has to run again.

    Attributes:
        finished: The clocks that have stopped.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._pending: dict[str, _Pending] = {}
        self.finished: list[Recovery] = []

    def killed(self, job_id: str, pid: int, *, disturbed: bool) -> None:
        """Start the clock of a job whose slot has just been killed."""
        with self._lock:
            self._pending[job_id] = _Pending(pid, self._clock(), disturbed)

    def disturb(self) -> None:
        """Note that something else is being broken."""
        with self._lock:
            for pending in self._pending.values():
                pending.disturbed = True

    def seen(self, sighting: Sighting) -> Recovery | None:
        """Stop the clock of a job that is fetched again, and gets beyond that; return its time."""
        with self._lock:
            pending = self._pending.get(sighting.job_id)
            if pending is None or sighting.pid == pending.pid:
                return None
            if sighting.failpoint is Failpoint.FETCH:
                pending.fetched_by = sighting.pid
            if sighting.failpoint is Failpoint.FETCH or sighting.pid != pending.fetched_by:
                return None
            del self._pending[sighting.job_id]
            seconds = self._clock() - pending.since_s
            recovery = Recovery(sighting.job_id, seconds, pending.disturbed)
            self.finished.append(recovery)
            return recovery

    @property
    def pending(self) -> bool:
        """Whether any job waits for another slot."""
        with self._lock:
            return bool(self._pending)
