"""Waiting until nothing is left over from before: an arm must not pay for another's work."""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress

import psutil
from redis import Redis

from offloop.stack.queues import unfinished

#: Seconds after which a stack that is still busy is reported instead of waited for.
DEADLINE_S = 60.0

#: Share of one core that a service may use and still count as idle: heartbeats and polling.
IDLE_SHARE = 0.15

_LOOK_S = 0.15


class NotIdleError(Exception):
    """Work is left that will not end, so the next arm cannot start."""


def wait_until_empty(redis: Redis, served: Collection[str]) -> None:
    """Return once every queue is empty.

    Args:
        redis: The broker.
        served: Names of the queues that somebody works on.

    Raises:
        NotIdleError: this has not happened within `DEADLINE_S`, or there are jobs in another queue.
    """
    deadline = time.monotonic() + DEADLINE_S
    while left := unfinished(redis):
        if unserved := left.keys() - served:
            raise NotIdleError(
                f"There are jobs in the queue {', '.join(sorted(unserved))}, which nobody works "
                f"on: the pools of the arm serve only {', '.join(sorted(served))}. Add it to the "
                "`queues` of one of them."
            )
        if time.monotonic() > deadline:
            raise _still_busy(f"there are still jobs in the queue {', '.join(left)}")
        time.sleep(_LOOK_S)


def wait_until_quiet(pids: Callable[[], Mapping[str, Sequence[int]]]) -> None:
    """Return once no service uses more than a little CPU.

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
    before = cpu_seconds(pids())
    time.sleep(_LOOK_S)
    return [
        name
        for name, seconds in cpu_seconds(pids()).items()
        if seconds - before.get(name, seconds) > IDLE_SHARE * _LOOK_S
    ]


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
