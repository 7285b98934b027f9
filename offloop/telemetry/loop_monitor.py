"""Notices, times and names what blocks an event loop.

A heartbeat in the loop becomes due every 20 ms; how late it runs is the lag. A watchdog thread
looks on: when the heartbeat is overdue it reads, again and again, where the loop's thread is; the
garbage collector says itself when it runs. Nothing is patched, and any event loop that has
`call_later` will do.
"""

import asyncio
import contextlib
import queue
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram

from offloop.telemetry.collecting import CollectionPauses
from offloop.telemetry.culprit import Site, current_site, most_common
from offloop.telemetry.lag import WindowMaximum, swallowed
from offloop.telemetry.stalls import Stall, StallLog, StallMetric
from offloop.telemetry.windows import LONGEST_WINDOW_S, asked_window_s

#: Seconds between two heartbeats of a loop that is not blocked.
HEARTBEAT_S = 0.02

#: Seconds for which a loop that is blocked stalls: the limit for an answer to feel instant
#: (J. Nielsen, Usability Engineering, 1993, chapter 5).
STALL_THRESHOLD_S = 0.1

#: Seconds that the maximum looks back where its reader names no window: three scrapes at the usual
#: interval of 5 s.
WINDOW_S = 15.0

#: Seconds. Fine where a healthy loop is, coarse where any value is bad.
LAG_BUCKETS_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


@dataclass(frozen=True)
class _Late:
    """A heartbeat that was too late.

    Attributes:
        due_s: When it was due; tells stalls apart.
        lag_s: How late it ran.
    """

    due_s: float
    lag_s: float


class LoopMonitor:
    """Watches the running event loop between `start` and `stop`; use as a context manager.

    Every stall is counted, its length is added to the time lost and to that of its culprit, and a
    warning `event loop stalled` is logged with `stall_s`, `cause`, `file`, `function`, `line` and
    `endpoint` (also as attributes of the log record), at most once a second; `suppressed` counts
    those not logged since the last one. The culprit is the function seen most often while the loop
    was late. It is unknown if the watchdog could not run either, because native code held the GIL.
    A stall by the garbage collector is not blamed on the code that the collector interrupted.

    Lag is a lower bound for how long the loop was blocked, because the blocking began before the
    heartbeat was due: half a heartbeat on average, which the length of a stall and the time lost
    include.

    Args:
        registry: Where the metrics are registered while the monitor runs.
        stall_threshold_s: Seconds. A loop that was blocked for as long has stalled; of what is up
            to one heartbeat shorter, some is counted too.
    """

    def __init__(
        self,
        registry: CollectorRegistry = REGISTRY,
        *,
        stall_threshold_s: float = STALL_THRESHOLD_S,
    ) -> None:
        self._registry = registry
        # Blocked for the threshold, the loop may be late by a heartbeat less.
        self._late_s = max(stall_threshold_s - HEARTBEAT_S, HEARTBEAT_S)
        self._lag = Histogram(
            "offloop_loop_lag_seconds",
            "How late the event loop ran a heartbeat due every 20 ms. A stall counts once for "
            "every heartbeat it swallowed.",
            buckets=LAG_BUCKETS_S,
            registry=None,
        )
        self._lag_max = Gauge(
            "offloop_loop_lag_max_seconds",
            f"Largest lag of the event loop in the last {WINDOW_S:g} s, or the last N s "
            f"with ?window=N (up to {LONGEST_WINDOW_S:g}), a stall that still goes on included.",
            registry=None,
        )
        self._lag_max.set_function(self._read_maximum)
        self._stalls = Counter(
            "offloop_loop_stalls",
            f"Times the event loop was blocked for {stall_threshold_s:g} s or more.",
            registry=None,
        )
        self._lost = Counter(
            "offloop_loop_lost_seconds",
            "Time for which the event loop ran nothing else because of stalls.",
            registry=None,
        )
        self._by_culprit = StallMetric()
        self._metrics = (
            *(self._lag, self._lag_max, self._stalls, self._lost),
            self._by_culprit.summary,
        )
        self._maximum = WindowMaximum(LONGEST_WINDOW_S)
        self._log = StallLog()
        self._collections = CollectionPauses()
        self._ended: queue.SimpleQueue[_Late] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._watchdog = threading.Thread(target=self._watch, name="loop-watchdog", daemon=True)
        # Written by the loop's thread only. A float is replaced as a whole, so no lock is needed.
        self._due_s = 0.0
        self._thread_id = 0
        self._next: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to watch the running loop.

        Raises:
            RuntimeError: If no loop is running in this thread, or the monitor was used before.
            ValueError: If the registry already has these metrics: one monitor for a process.
        """
        loop = asyncio.get_running_loop()
        self._thread_id = threading.get_ident()
        with contextlib.ExitStack() as undo:
            for metric in self._metrics:
                self._registry.register(metric)
                undo.callback(self._registry.unregister, metric)
            self._due_s = time.monotonic() + HEARTBEAT_S
            self._collections.start()
            undo.callback(self._collections.stop)
            self._watchdog.start()
            self._expect_next(loop)
            undo.pop_all()

    def stop(self) -> None:
        """Stop watching, and take the metrics out of the registry."""
        if self._next:
            self._next.cancel()
        self._stopping.set()
        self._watchdog.join()
        self._collections.stop()
        for metric in self._metrics:
            self._registry.unregister(metric)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _expect_next(self, loop: asyncio.AbstractEventLoop) -> None:
        # Not the loop's own clock: some loops read it once an iteration, before what blocks them.
        self._due_s = time.monotonic() + HEARTBEAT_S
        self._next = loop.call_later(HEARTBEAT_S, self._beat, loop)

    def _beat(self, loop: asyncio.AbstractEventLoop) -> None:
        now_s = time.monotonic()
        due_s = self._due_s
        lag_s = max(0.0, now_s - due_s)
        self._maximum.add(now_s, lag_s)
        if lag_s >= self._late_s:
            # Left to the watchdog, because a log handler may block. It looks when the next
            # heartbeat is expected, so this comes before.
            self._ended.put(_Late(due_s, lag_s))
        else:
            self._observe(lag_s)
        self._expect_next(loop)

    def _observe(self, lag_s: float) -> None:
        for each_s in swallowed(lag_s, HEARTBEAT_S):
            self._lag.observe(each_s)

    def _read_maximum(self) -> float:
        now_s = time.monotonic()
        largest_s = self._maximum.read(now_s, asked_window_s() or WINDOW_S)
        return max(largest_s or 0.0, now_s - self._due_s, 0.0)

    def _watch(self) -> None:
        due_s, sites = self._due_s, list[Site]()
        while not self._stopping.wait(self._pause_s()):
            if self._due_s != due_s:
                for late in self._take_ended():
                    self._report(late, sites if late.due_s == due_s else [])
                due_s, sites = self._due_s, []
            if time.monotonic() - due_s >= self._late_s / 2:
                site = current_site(self._thread_id)
                # The loop may have gone on in between; then this is not what held it.
                if site and self._due_s == due_s:
                    sites.append(site)
        for late in self._take_ended():
            self._report(late, sites if late.due_s == due_s else [])

    def _pause_s(self) -> float:
        """Until the heartbeat is late by half of what makes a stall; while it is, a heartbeat."""
        return max(HEARTBEAT_S, self._due_s + self._late_s / 2 - time.monotonic())

    def _take_ended(self) -> Iterator[_Late]:
        with contextlib.suppress(queue.Empty):
            while True:
                yield self._ended.get_nowait()

    def _report(self, late: _Late, sites: list[Site]) -> None:
        began_s, ended_s = late.due_s - HEARTBEAT_S / 2, late.due_s + late.lag_s
        collecting_s = self._collections.seconds_between(began_s, ended_s)
        stall = Stall(ended_s - began_s, collecting_s, most_common(sites))
        self._observe(late.lag_s)
        self._stalls.inc()
        self._lost.inc(stall.seconds)
        self._by_culprit.add(stall)
        self._log.write(stall)
