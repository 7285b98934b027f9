"""Finding the processes of a lab, wherever they have gone.

A process belongs to a lab, a stack or a service if it carries that one's mark in its environment,
is in one of its process groups, or descends from a process that does. The mark finds orphans in
process groups of their own; the group finds programs that wipe their environment (a Valkey server
overwrites it with its title); descent finds those started with an empty environment.
"""

import contextlib
import os
import secrets
import signal
import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping

import psutil

#: The environment variable that carries the marks, outermost first, separated by `_SEPARATOR`:
#: a lab started by a service of another lab belongs to both.
MARK_VARIABLE = "OFFLOOP_LAB"

_SEPARATOR = "/"

#: What a process is that has been stopped, or has ended.
_AT_REST = frozenset(
    {psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP, psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD}
)

#: Seconds to wait for that at most: one that waits for a disk is stopped when it has what it wants.
_STOP_DEADLINE_S = 10.0

_LOOK_S = 0.002


def new_mark() -> str:
    """A mark that no other process carries."""
    return secrets.token_hex(8)


def add_mark(environment: Mapping[str, str], mark: str) -> str:
    """The value of the mark variable for a process that inherits `environment` and gets `mark`."""
    inherited = environment.get(MARK_VARIABLE)
    return f"{inherited}{_SEPARATOR}{mark}" if inherited else mark


def find(
    marks: Collection[str],
    groups: Collection[int] = (),
    known: Iterable[psutil.Process] = (),
) -> list[psutil.Process]:
    """Every live process that belongs to one of the marks; never the caller, never a zombie.

    Args:
        marks: Marks to look for in the environment of each process.
        groups: Process groups whose members belong.
        known: Processes already found to belong. Those still alive are included again, and their
            new descendants with them.
    """
    alive = {process.pid: process for process in _alive()}
    found = {process.pid for process in known if process.is_running()} & alive.keys()
    children: dict[int, list[int]] = defaultdict(list)
    for pid, process in alive.items():
        with contextlib.suppress(psutil.Error, OSError):
            children[process.ppid()].append(pid)
            if os.getpgid(pid) in groups or _marks_of(process) & set(marks):
                found.add(pid)
    pending = list(found)
    while pending:
        new = set(children[pending.pop()]) - found
        found |= new
        pending.extend(new)
    return [alive[pid] for pid in found]


def families(leaders: Collection[int]) -> dict[int, list[int]]:
    """The processes that belong to each of some children of the caller that lead a group.

    Args:
        leaders: Process ids.

    Returns:
        For each leader the process ids of its descendants and of the other members of its group.
    """
    members: dict[int, list[int]] = {leader: [] for leader in leaders}
    family_of = {leader: leader for leader in leaders}
    # One pass over the process table, whatever the number of leaders. Parents come first.
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            family_of.setdefault(process.pid, family_of.get(process.ppid(), 0))
    # Members of the group whose parent has ended are no descendants any more.
    for pid in psutil.pids():
        with contextlib.suppress(OSError):
            leader = family_of.get(pid) or os.getpgid(pid)
            if leader in members and pid != leader:
                members[leader].append(pid)
    return members


def freeze(group: int) -> bool:
    """SIGSTOP a process group, and return once none of its processes goes on.

    One thread of each process takes the signal, and has to get a processor for that. Until it has,
    the other threads go on: on a busy machine, at the lowest priority, for tens of milliseconds. A
    process that is stuck in the kernel is waited for up to `_STOP_DEADLINE_S`.

    Returns:
        Whether there was such a group.

    Raises:
        PermissionError: the group belongs to another user.
    """
    try:
        os.killpg(group, signal.SIGSTOP)
    except ProcessLookupError:
        return False
    until = time.monotonic() + _STOP_DEADLINE_S
    while any(map(_goes_on, _members(group))) and time.monotonic() < until:
        time.sleep(_LOOK_S)
    return True


def _members(group: int) -> Iterator[psutil.Process]:
    for pid in psutil.pids():
        with contextlib.suppress(psutil.Error, OSError):
            if os.getpgid(pid) == group:
                yield psutil.Process(pid)


def _goes_on(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return process.status() not in _AT_REST
    return False


def kill(processes: Iterable[psutil.Process]) -> None:
    """SIGKILL each process that is still the one that was found."""
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.kill()


def _alive() -> Iterator[psutil.Process]:
    for pid in psutil.pids():
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(pid)
            if pid != os.getpid() and not _has_ended(process):
                yield process


def _has_ended(process: psutil.Process) -> bool:
    # A process whose main thread has ended looks like a zombie, but has its sockets and files until
    # the last of its threads has ended: when it is killed, that may be a moment later.
    return process.status() == psutil.STATUS_ZOMBIE and process.num_threads() <= 1


def _marks_of(process: psutil.Process) -> set[str]:
    try:
        value = process.environ().get(MARK_VARIABLE, "")
    except (psutil.Error, OSError):
        # A process of another user, or one that ends at this moment.
        return set()
    return set(value.split(_SEPARATOR))
