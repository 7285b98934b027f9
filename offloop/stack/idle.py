"""Waiting until nothing is left over from before: an arm must not pay for another's work."""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil
from redis import Redis

from offloop.errors import OffloopError
from offloop.stack.queues import unfinished

#: Seconds after which a stack that is still busy is reported instead of waited for.
DEADLINE_S = 60.0

#: Share of one core that a service may use and still count as idle: heartbeats and polling.
IDLE_SHARE = 0.15

_LOOK_S = 0.15

#: Seconds between two glances during a look.
_GLANCE_S = 0.01


class NotIdleError(OffloopError):
    """Work is left that will not end, so the next arm cannot start."""


def wait_until_empty(redis: Redis, served: Collection[str]) -> None:
    """Return once every queue is empty.

    Args:
        redis: The broker.
        served: Names of the queues that the pools of the arm serve.

    Raises:
        NotIdleError: this has not happened within `DEADLINE_S`, or there are jobs in another queue.
    """
    deadline = time.monotonic() + DEADLINE_S
    while left := unfinished(redis):
        if unserved := left.keys() - served:
            raise NotIdleError(
                f"There are jobs in the queue {', '.join(sorted(unserved))}, which no slot takes: "
                f"the pools of the arm serve only {', '.join(sorted(served))}. Add it to the "
                "`queues` of one of them."
            )
        if time.monotonic() > deadline:
            raise _still_busy(f"there are still jobs in the queue {', '.join(left)}")
        time.sleep(_LOOK_S)


def wait_until_quiet(pids: Callable[[], Mapping[str, Sequence[int]]]) -> None:
    """Return once no service uses more than a little CPU, nor waits for a CPU all the time.

    Args:
        pids: Process ids of every service.

    Raises:
        NotIdleError: this has not happened within `DEADLINE_S`.
    """
    deadline = time.monotonic() + DEADLINE_S
    while busy := _busy(pids):
        if time.monotonic() > deadline:
            raise _still_busy(f"{', '.join(busy)} is still at work")


def _still_busy(what: str) -> NotIdleError:
    return NotIdleError(
        f"After {DEADLINE_S:g} s {what}, so the next arm cannot start. The logs of the run say "
        "what it is doing."
    )


def _busy(pids: Callable[[], Mapping[str, Sequence[int]]]) -> list[str]:
    looked_at = pids()
    before = cpu_seconds(looked_at)
    always_awake = _always_awake(looked_at)
    return [
        name
        for name, seconds in cpu_seconds(pids()).items()
        if seconds - before.get(name, seconds) > IDLE_SHARE * _LOOK_S or name in always_awake
    ]


def _always_awake(pids: Mapping[str, Sequence[int]]) -> Collection[str]:
    """Return the services that were awake at every glance during one look.

    The CPU that a service uses does not tell whether it has work: on a busy machine, workers with
    the policy SCHED_IDLE get none for seconds. But one that has work does not sleep meanwhile. One
    that is only woken now and then, for a heartbeat, also waits for a CPU, and sleeps after that.
    """
    awake = list(pids)
    end = time.monotonic() + _LOOK_S
    while (left_s := end - time.monotonic()) > 0:
        awake = [name for name in awake if any(map(_is_awake, pids[name]))]
        time.sleep(min(_GLANCE_S, left_s))
    return awake


def _is_awake(pid: int) -> bool:
    """Say whether a thread of the process runs, waits for a CPU (R) or waits for a disk (D).

    Always false where there is no /proc: macOS calls every process running
    (https://github.com/giampaolo/psutil/issues/2675), so only CPU counts there.
    """
    with suppress(OSError):  # the process has ended
        for thread in Path(f"/proc/{pid}/task").iterdir():
            with suppress(OSError):  # the thread has ended
                # The name before the state may hold anything.
                state = (thread / "stat").read_bytes().rpartition(b")")[2].split()[0]
                if state in {b"R", b"D"}:
                    return True
    return False


def cpu_seconds(pids: Mapping[str, Sequence[int]]) -> dict[str, float]:
    """Return the processor seconds that services have used so far.

    Args:
        pids: Process ids of each service; those that have ended count nothing.
    """
    used = dict.fromkeys(pids, 0.0)
    for name, processes in pids.items():
        for pid in processes:
            with suppress(psutil.NoSuchProcess):
                used[name] += sum(psutil.Process(pid).cpu_times()[:2])
    return used
