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
from offloop.stack.sampling import ResourceSample, ResourceSampler

#: A measurement is disturbed if this share of the machine's CPU time, or more, was taken from it.
DISTURBED = 0.05

#: What programs use. Interrupts are left out: the lab causes some of them.
_USED = ("user", "nice", "system")

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

    It is the outermost context of a measurement: what the lab does after the last sample would be
    charged to other programs.

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
        self._after: Any = None

    def __enter__(self) -> Self:
        self._processes = neighbours.look()
        return super().__enter__()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        super().__exit__(kind, error, traceback)
        if self._before is not None:
            self.taken = taken_share(self._before, self._after, self.samples)
        if self.taken is not None:
            self.taken_by = self._named(_passed(self._before, self._after))

    def _families(self) -> dict[str, list[psutil.Process]]:
        # The first and the last round of samples begin when this returns. On a busy machine a round
        # takes tens of milliseconds. The lab's CPU time in the first round would be charged to
        # other programs, and that in the last one is missing from theirs: this evens out, as both
        # readings are taken before the round.
        found = super()._families()
        self._after = psutil.cpu_times()
        self._before = self._before or self._after
        return found

    def _lab(self) -> Mapping[str, Sequence[int]]:
        found = self._pids_of_lab()
        if not any(os.getpid() in pids for pids in found.values()):
            found = {**found, "this process": [os.getpid()]}
        self._seen.update(pid for pids in found.values() for pid in pids)
        return found

    def _named(self, passed: Mapping[str, float]) -> tuple[str, ...]:
        table = neighbours.look()
        used = neighbours.used_between(self._processes, table)
        seconds = {
            f"{table[pid].name} (pid {pid})": used[pid]
            for pid in neighbours.outside(table, self._seen, os.getpid())
        }
        return neighbours.named(
            seconds | {neighbours.HOST: passed.get("steal", 0.0)}, _total_s(passed)
        )


def taken_share(before: Any, after: Any, samples: Sequence[ResourceSample]) -> float | None:  # noqa: ANN401 - differs by system
    """Return the share of the machine's CPU time that its host and other programs had.

    Steal is known on Linux, and left out elsewhere.

    Args:
        before: What `psutil.cpu_times` said at the beginning,
        after: and at the end.
        samples: Of all processes of the lab in between.

    Returns:
        None where no time has passed.
    """
    passed = _passed(before, after)
    total_s = _total_s(passed)
    if total_s <= 0:
        return None
    used_s = sum(passed[name] for name in _USED if name in passed)
    by_programs_s = max(0.0, used_s - lab_cpu_s(samples))
    return (passed.get("steal", 0.0) + by_programs_s) / total_s


def _passed(before: Any, after: Any) -> dict[str, float]:  # noqa: ANN401 - differs by system
    return {name: getattr(after, name) - getattr(before, name) for name in after._fields}


def _total_s(passed: Mapping[str, float]) -> float:
    # Guest time is counted in user time already.
    return sum(seconds for name, seconds in passed.items() if not name.startswith("guest"))


def lab_cpu_s(samples: Sequence[ResourceSample]) -> float:
    """Return the processor seconds that the services used between their first and last samples.

    A service that was started in between used all of its time in between. One that ended is in the
    children's time of this process, which has waited for it, with all the time that it ever used;
    where this process is not among the samples, only what its own samples show is known.
    """
    first: dict[tuple[str, int], float] = {}
    used: dict[tuple[str, int], float] = {}
    first_round = True
    for sample in samples:
        service = sample.name, sample.pid
        first_round = first_round and service not in used
        # A service that is there in the first round has used some of its time before.
        first.setdefault(service, sample.cpu_s if first_round else 0.0)
        # The time of a child that has ended is missing until its parent has waited for it.
        used[service] = max(used.get(service, 0.0), sample.cpu_s - first[service])
    there = _last_round(samples)
    if os.getpid() not in {pid for _, pid in there}:
        return sum(used.values())
    ended = used.keys() - there
    return sum(used[service] for service in there) - sum(first[service] for service in ended)


def _last_round(samples: Sequence[ResourceSample]) -> set[tuple[str, int]]:
    """Return the services that were there when the last samples were taken."""
    found: set[tuple[str, int]] = set()
    for sample in reversed(samples):
        if (sample.name, sample.pid) in found:
            break
        found.add((sample.name, sample.pid))
    return found


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
