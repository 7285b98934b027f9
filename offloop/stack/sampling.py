"""Memory and processor time of each process of a stack, over time."""

import contextlib
import itertools
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import NamedTuple, Self

import psutil

from offloop.stack.priorities import stand_back

#: Seconds between samples.
INTERVAL_S = 0.5

#: Samples between two looks at the process table, which take ten times as long and are seen in the
#: p99 of the services.
LOOK_EVERY = 16


class ResourceSample(NamedTuple):
    """What one service had used at one moment.

    Attributes:
        monotonic_s: When (CLOCK_MONOTONIC).
        name: The service.
        rss_bytes: Resident memory of the service and its descendants, added up: pages that several
            of them share count once for each.
        cpu_s: Processor time, user and system, used so far by the service and by those of its
            descendants that still run or have been waited for. Begins anew when it restarts.
        pid: Of the service: another one when it has been started again.
    """

    monotonic_s: float
    name: str
    rss_bytes: int
    cpu_s: float
    pid: int


class SamplingThread(ABC):
    """Looks at something again and again, in a thread of its own; use as a context manager.

    To look takes milliseconds of a processor, which must not be those in which an API is about to
    answer: the thread stands back.

    Args:
        name: Of the thread.
    """

    def __init__(self, name: str) -> None:
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._sample, name=name, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def _sample(self) -> None:
        stand_back()
        self._run()

    @abstractmethod
    def _run(self) -> None:
        """Look until `_stopping` is set."""


class ResourceSampler(SamplingThread):
    """Takes a sample of every service at a fixed interval.

    A service that ends during a sample has no row in it.

    Args:
        pids: Gives the process ids of each service: `Stack.pids`.
        interval_s: Seconds between samples.
        look_every: Samples between two looks at the process table. New processes are found then;
            sooner, after one has ended; and at the end.
    """

    def __init__(
        self,
        pids: Callable[[], Mapping[str, Sequence[int]]],
        interval_s: float = INTERVAL_S,
        look_every: int = LOOK_EVERY,
    ) -> None:
        self._pids = pids
        self._interval_s = interval_s
        self._look_every = look_every
        self._samples: list[ResourceSample] = []
        super().__init__("resource-sampler")

    @property
    def samples(self) -> list[ResourceSample]:
        """All samples so far, in order of time."""
        return list(self._samples)

    def _run(self) -> None:
        families: dict[str, list[psutil.Process]] = {}
        ended: set[str] = set()
        last = False
        for number in itertools.count():
            if number % self._look_every == 0 or ended or last:
                families = self._families()
                ended -= families.keys()
            for name, family in families.items():
                try:
                    self._samples.append(_sample(name, family))
                except psutil.NoSuchProcess:
                    # It has no sample, which is not the same as using nothing. It may be started
                    # again.
                    ended.add(name)
            if last:
                return
            # What was used since then is in one sample more.
            last = self._stopping.wait(self._interval_s)

    def _families(self) -> dict[str, list[psutil.Process]]:
        return {name: family for name, pids in self._pids().items() if (family := _processes(pids))}


def _processes(pids: Sequence[int]) -> list[psutil.Process]:
    """Those that still run, the service first; none if the service has ended."""
    found: list[psutil.Process] = []
    for pid in pids:
        with contextlib.suppress(psutil.NoSuchProcess):
            found.append(psutil.Process(pid))
    return found if found and found[0].pid == pids[0] else []


def _sample(name: str, family: Sequence[psutil.Process]) -> ResourceSample:
    rss_bytes, cpu_s = _usage(family[0])
    for process in family[1:]:
        with contextlib.suppress(psutil.NoSuchProcess):
            more_bytes, more_s = _usage(process)
            rss_bytes += more_bytes
            cpu_s += more_s
    return ResourceSample(time.monotonic(), name, rss_bytes, cpu_s, family[0].pid)


def _usage(process: psutil.Process) -> tuple[int, float]:
    rss_bytes = process.memory_info().rss
    if rss_bytes == 0:
        # A zombie: its memory is gone, which is not the same as needing none.
        raise psutil.NoSuchProcess(process.pid)
    # The children's times are those of children that have ended and been waited for.
    return rss_bytes, sum(process.cpu_times()[:4])
