"""What is told about stalls: a metric for each culprit, and a line in the log."""

import logging
import time
from dataclasses import dataclass
from enum import StrEnum

from prometheus_client import Summary

from offloop.telemetry.culprit import Site, short_path

#: Culprits that have a time series of their own. All further ones share one.
MAX_CULPRITS = 50

#: Seconds between two log lines about stalls.
LOG_EVERY_S = 1.0

LOG_FORMAT = (
    "event loop stalled stall_s=%(stall_s)s cause=%(cause)s file=%(file)s function=%(function)s "
    "line=%(line)s endpoint=%(endpoint)s suppressed=%(suppressed)s"
)

logger = logging.getLogger("offloop.telemetry")


class Cause(StrEnum):
    """What held an event loop."""

    #: Code that the watchdog saw.
    CODE = "code"
    #: The garbage collector, for at least half of the time, whatever code triggered it.
    COLLECTION = "garbage_collection"
    #: Not seen: native code held the GIL, or the whole process was not scheduled.
    UNKNOWN = "unknown"
    #: Code, but `MAX_CULPRITS` culprits have a time series already.
    OTHER = "other"


@dataclass(frozen=True)
class Stall:
    """A time in which the event loop ran nothing else.

    Attributes:
        seconds: How long.
        collecting_s: How much of that was garbage collection.
        site: Where the code was that held it, if it was seen.
    """

    seconds: float
    collecting_s: float
    site: Site | None

    @property
    def cause(self) -> Cause:
        """What held the loop."""
        if self.collecting_s >= self.seconds / 2:
            return Cause.COLLECTION
        return Cause.UNKNOWN if self.site is None else Cause.CODE

    @property
    def culprit(self) -> Site | None:
        """The code to blame; None if there is none, or it is not known."""
        return self.site if self.cause is Cause.CODE else None


class StallMetric:
    """Counts and adds up stalls by what held the loop, for at most `MAX_CULPRITS` culprits.

    Attributes:
        summary: The metric, in no registry yet.
    """

    def __init__(self) -> None:
        self.summary = Summary(
            "offloop_loop_stall_seconds",
            "Stalls of the event loop and how long they were, by the code that held it.",
            labelnames=("cause", "file", "function", "endpoint"),
            registry=None,
        )
        self._known: set[tuple[str, ...]] = set()

    def add(self, stall: Stall) -> None:
        """Count one."""
        self.summary.labels(*self._bounded(_labels(stall))).observe(stall.seconds)

    def _bounded(self, labels: tuple[str, ...]) -> tuple[str, ...]:
        if labels not in self._known and len(self._known) >= MAX_CULPRITS:
            return (Cause.OTHER, "", "", "")
        self._known.add(labels)
        return labels


def _labels(stall: Stall) -> tuple[str, ...]:
    if (site := stall.culprit) is None:
        return (stall.cause, "", "", "")
    named = (short_path(site.file), site.function, site.endpoint or "")
    return (stall.cause, *map(_printable, named))


def _printable(text: str) -> str:
    # A path need not be text, and one such label would make all metrics unreadable.
    return text.encode("utf-8", "backslashreplace").decode()


class StallLog:
    """Writes a line about a stall, but not more often than `LOG_EVERY_S`."""

    def __init__(self) -> None:
        self._last_s: float | None = None
        self._suppressed = 0

    def write(self, stall: Stall) -> None:
        """Write about one, or count it among those that were not."""
        now_s = time.monotonic()
        if self._last_s is not None and now_s - self._last_s < LOG_EVERY_S:
            self._suppressed += 1
            return
        site = stall.culprit
        fields = {
            "stall_s": round(stall.seconds, 3),
            "cause": str(stall.cause),
            "file": site and site.file,
            "function": site and site.function,
            "line": site and site.line,
            "endpoint": site and site.endpoint,
            "suppressed": self._suppressed,
        }
        logger.warning(LOG_FORMAT, fields, extra=fields)
        self._last_s = now_s
        self._suppressed = 0
