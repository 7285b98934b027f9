"""How much of the machine its host and other programs took from a measurement, and who they were.

Steal is the time that the host of a virtual machine gives to its other guests.
"""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import psutil

from offloop.measuring import neighbours
from offloop.stack.sampling import ResourceSampler

#: A measurement is disturbed if this share of the machine's CPU time, or more, was taken from it.
DISTURBED = 0.05

#: Seconds that `wait_for_quiet` looks at the machine before it decides.
_WINDOW_S = 0.5

#: Seconds between two messages of `wait_for_quiet`, at least,
_TELL_EVERY_S = 5.0

#: and the share of the machine by which `taken` has to change to be worth another message.
_WORTH_TELLING = 0.1

_Pids = Callable[[], Mapping[str, Sequence[int]]]


def is_quiet(taken: float | None) -> bool:
    """Return whether a measurement counts from which this share of the machine was taken.

    Args:
        taken: None if it is not known; then the measurement counts.
    """
    return taken is None or taken < DISTURBED


class Watch(ResourceSampler):
    """Samples what the lab uses, and works out what was taken of the machine meanwhile.

    What the processes outside of the lab used is added up, process by process. To subtract what the
    lab used from what was used altogether would be less exact: the workers of a
    service that was killed are waited for by the first process of the system, which has their time
    then.

    Args:
        pids: Gives the process ids of everything that belongs to the lab, by name. This process
            belongs to the lab in any case.

    Attributes:
        taken: The share of the machine's CPU time that its host and other programs had; None until
            the watch is over, and if no time passed.
        taken_by: The processes outside of the lab that used most of it, and the host, with their
            shares of the machine, largest first: "cc1plus (pid 4711) 31%". At most three, of at
            least 1% each.
    """

    def __init__(self, pids: _Pids) -> None:
        super().__init__(self._lab)
        self.taken: float | None = None
        self.taken_by: tuple[str, ...] = ()
        self._pids_of_lab = pids
        self._seen: set[int] = set()
        self._processes: neighbours.Table = {}
        self._before: Any = None

    def __enter__(self) -> Self:
        self._processes = neighbours.look()
        self._before = psutil.cpu_times()
        return super().__enter__()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        super().__exit__(kind, error, traceback)
        passed = passed_between(self._before, psutil.cpu_times())
        total_s = sum(passed.values())
        seconds = self._outside() | {neighbours.HOST: passed.get("steal", 0.0)}
        if total_s > 0:
            self.taken = sum(seconds.values()) / total_s
            self.taken_by = neighbours.named(seconds, total_s)

    def _lab(self) -> Mapping[str, Sequence[int]]:
        found = self._pids_of_lab()
        if not any(os.getpid() in pids for pids in found.values()):
            found = {**found, "this process": [os.getpid()]}
        self._seen.update(pid for pids in found.values() for pid in pids)
        return found

    def _outside(self) -> dict[str, float]:
        """Return what each process outside of the lab has used meanwhile, in seconds."""
        table = neighbours.look()
        used = neighbours.used_between(self._processes, table)
        return {
            f"{table[pid].name} (pid {pid})": used[pid]
            for pid in neighbours.outside(table, self._seen, os.getpid())
        }


def passed_between(before: Any, after: Any) -> dict[str, float]:  # noqa: ANN401 - differs by system
    """Return how the processors spent the time between two readings of `psutil.cpu_times`.

    Seconds by kind; their sum is all the time there was.
    """
    # Guest time is counted in user time already.
    kinds = (name for name in after._fields if not name.startswith("guest"))
    return {name: getattr(after, name) - getattr(before, name) for name in kinds}


@dataclass(frozen=True)
class Busy:
    """A machine that was not quiet.

    Attributes:
        taken: The share of its CPU time that was taken.
        by: The largest shares of that: `Watch.taken_by`.
    """

    taken: float
    by: tuple[str, ...]

    def __str__(self) -> str:
        return self.text()

    def text(self, machine: str = "the machine") -> str:
        """Say it in one sentence, without a full stop.

        Args:
            machine: How the machine is called in it.
        """
        by = ", ".join(self.by) or "by processes that ended, or that are too small to name"
        return f"{self.taken:.0%} of {machine} is taken: {by}"

    def differs(self, told: "Busy") -> bool:
        """Return whether this is news to people who were told the other."""
        return self.largest != told.largest or abs(self.taken - told.taken) >= _WORTH_TELLING

    @property
    def largest(self) -> str:
        """The process with the largest share, or the host, without the share."""
        return self.by[0].rpartition(" ")[0] if self.by else ""


def wait_for_quiet(pids: _Pids, at_most_s: float, tell: Callable[[str], None]) -> Busy | None:
    """Return as soon as the machine is quiet, which one look of half a second is enough for.

    Args:
        pids: Gives the process ids of everything that belongs to the lab, by name.
        at_most_s: Seconds to wait; the last look may take longer.
        tell: Is told at once what is being waited for, and when that changes.

    Returns:
        What the last look found, if it still was not quiet.
    """
    until = time.monotonic() + at_most_s
    told: Busy | None = None
    told_s = 0.0
    while (busy := _busy(pids)) is not None:
        now = time.monotonic()
        if told is None or (now >= told_s + _TELL_EVERY_S and busy.differs(told)):
            tell(f"waiting for a quiet machine: {busy.text('it')}")
            told, told_s = busy, now
        if now >= until:
            break
    return busy


def _busy(pids: _Pids) -> Busy | None:
    with Watch(pids) as machine:
        time.sleep(_WINDOW_S)
    if machine.taken is None or is_quiet(machine.taken):
        return None
    return Busy(machine.taken, machine.taken_by)
