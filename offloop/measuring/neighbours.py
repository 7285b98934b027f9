"""Noisy neighbours: which processes outside of the lab used the machine's CPU time.

Two looks at the process table are compared. What is approximate: the clocks of processes tick in
hundredths of a second, and the CPU time of a process that ended between the looks is known only if
its parent waited for it. Then it is the parent's: for a build, that of `make` and its compilers.
The first process of the system waits for all that have lost their parents, those of the lab as
well, so what its children used is not counted. Threads of the kernel work for those who ask, the
lab included, and are not counted either.
"""

import contextlib
import sys
from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

import psutil

#: What `named` calls the host of a virtual machine.
HOST = "the host of this virtual machine (steal)"

#: The first process of the system, and on Linux the parent of the kernel's threads.
_FIRST = 1
_KERNEL_THREADS = {2} if sys.platform == "linux" else set[int]()

#: Processes with a smaller share of the machine are not named.
NAMED_FROM = 0.01

#: How many are named at most.
NAMED_AT_MOST = 3


class Process(NamedTuple):
    """One process at one moment.

    Attributes:
        name: Of its program.
        parent: The process id of its parent.
        own_s: CPU time that it has used so far, user and system.
        children_s: CPU time of its children that have ended and been waited for, and of theirs.
    """

    name: str
    parent: int
    own_s: float
    children_s: float

    @property
    def cpu_s(self) -> float:
        """All of it."""
        return self.own_s + self.children_s


#: All processes at one moment, by process id.
Table = Mapping[int, Process]


def look() -> Table:
    """Return all processes. This takes some milliseconds: 50 µs for each process."""
    found: dict[int, Process] = {}
    for process in psutil.process_iter():
        # One that has just ended, or that belongs to another user of a Mac.
        with contextlib.suppress(psutil.Error), process.oneshot():
            times = process.cpu_times()
            children_s = 0.0 if process.pid == _FIRST else sum(times[2:4])
            found[process.pid] = Process(process.name(), process.ppid(), sum(times[:2]), children_s)
    return found


def used_between(before: Table, after: Table) -> dict[int, float]:
    """Return the CPU time, in seconds, that each process in the second table used since the first.

    A process that started in between used all of its time in between.
    """
    # What a process had used before the first look is a part of its parent's time once it has ended
    # and been waited for. Here that is what its nearest ancestor has taken over.
    taken_over = dict.fromkeys(after, 0.0)
    for pid in before.keys() - after.keys():
        heir = next((each for each in _line(pid, before) if each in after), None)
        if heir is not None:
            taken_over[heir] += before[pid].cpu_s
    return {pid: _used(before.get(pid), now, taken_over[pid]) for pid, now in after.items()}


def _used(before: Process | None, now: Process, taken_over: float) -> float:
    if before is None or now.own_s < before.own_s:
        # It is new; in the second case, it has the process id of one that ended.
        return now.cpu_s
    return now.own_s - before.own_s + max(0.0, now.children_s - before.children_s - taken_over)


def outside(table: Table, lab: Collection[int], this: int) -> list[int]:
    """Return the processes that do not belong to the lab.

    Args:
        table: All processes.
        lab: Process ids of the lab. Their descendants belong to it.
        this: The process that measures belongs to it. Its descendants do not, unless `lab` has
            them: tests start both kinds.
    """
    roots = set(lab) - {this} | _KERNEL_THREADS
    return [pid for pid in table if pid != this and roots.isdisjoint(_line(pid, table))]


def named(seconds: Mapping[str, float], total_s: float) -> tuple[str, ...]:
    """Return the names with the largest shares of the machine, and these shares, largest first.

    Args:
        seconds: CPU time by name.
        total_s: CPU time of the whole machine.
    """
    shares = sorted(((used_s / total_s, name) for name, used_s in seconds.items()), reverse=True)
    return tuple(
        f"{name} {share:.0%}" for share, name in shares[:NAMED_AT_MOST] if share >= NAMED_FROM
    )


def _line(pid: int, table: Table) -> Iterator[int]:
    """Yield a process id and those of its ancestors, as far as the table has them."""
    seen: set[int] = set()
    # A table is not read in one instant: process ids that are used again could make a circle.
    while pid in table and pid not in seen:
        yield pid
        seen.add(pid)
        pid = table[pid].parent
