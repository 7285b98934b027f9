"""Every measure, declared once: name, unit, heading, kind, and how blocks combine.

The name of a measure is its subject and one of the names below, joined by a dot:
``bystander.p99_ms`` is the measure `p99_ms` of the stream `bystander`. Headings, formats,
`docs/measures.md` and the rules of judging follow from these declarations.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum


class Unit(StrEnum):
    """What a value is counted in. The string is what a text shows behind it."""

    MS = "ms"
    COUNT = ""
    BYTES = "bytes"
    SHARE = "%"
    SECONDS = "s"
    MICROSECONDS = "µs"
    CORES = "cores"
    PER_SECOND = "jobs/s"
    RATIO = "times"


class Kind(StrEnum):
    """What a measure is, and so how the blocks of a run combine to one value."""

    #: Of a sample; the samples of all blocks are pooled.
    PERCENTILE = "percentile"
    #: Of a sample: the share above a limit; the samples of all blocks are pooled.
    SHARE = "share"
    #: The largest of all blocks.
    MAXIMUM = "maximum"
    #: The smallest of all blocks.
    MINIMUM = "minimum"
    #: The sum of all blocks.
    COUNT = "count"
    #: A rate, a ratio or a size of one block; the median of all blocks.
    LEVEL = "level"


class Better(StrEnum):
    """Which way is better."""

    LOWER = "lower"
    HIGHER = "higher"
    NEITHER = "neither"


@dataclass(frozen=True)
class Measure:
    """One measure.

    Attributes:
        name: The last part of its name, or the whole name where there is only one subject.
        heading: In tables, after the name of the subject.
        unit: Of its values.
        kind: How blocks combine.
        better: Which way is better.
        sample: The sample that it is taken from; None where a block has it as a number.
        percent: Of a percentile.
        above_ms: Of a share: values above this count.
        answered_only: Whether what never came is left out.
        promise: Whether a cure that has any of it has broken a promise: noise excuses nothing.
        shown: Whether tables show it where nothing is said.
    """

    name: str
    heading: str
    unit: Unit
    kind: Kind
    better: Better = Better.LOWER
    sample: str | None = None
    percent: float = 0.0
    above_ms: float = 0.0
    answered_only: bool = False
    promise: bool = False
    shown: bool = True

    @property
    def needs(self) -> int:
        """How many values it takes; with fewer, a percentile is the largest of them.

        A p95 takes 20 values, a p99 takes 100: one of them is above it then.
        """
        if self.kind is not Kind.PERCENTILE:
            return 1
        return round(100 / (100 - self.percent))


class UnknownMeasureError(ValueError):
    """A name that is no measure; the message has the nearest ones."""


def percentile(name: str, heading: str, of: str, percent: float, *, shown: bool = True) -> Measure:
    """Declare a percentile of a sample of times."""
    return Measure(name, heading, Unit.MS, Kind.PERCENTILE, sample=of, percent=percent, shown=shown)


def count(
    name: str,
    heading: str,
    better: Better = Better.NEITHER,
    *,
    promise: bool = False,
    shown: bool = True,
) -> Measure:
    """Declare a count."""
    return Measure(name, heading, Unit.COUNT, Kind.COUNT, better, promise=promise, shown=shown)


#: Milliseconds above which a request counts as harmed: ten times what `GET /ping` takes where
#: nothing disturbs it. It is shown, and nothing is judged by it.
HARMED_MS = 10.0

#: Of a stream of plain requests, and of the answers to orders.
REQUESTS = (
    count("offered", "requests"),
    count("sent", "sent", shown=False),
    count("answered", "answered", shown=False),
    count("failed", "failed", Better.LOWER, promise=True),
    Measure(
        "harmed_share",
        f"over {HARMED_MS:g} ms",
        Unit.SHARE,
        Kind.SHARE,
        sample="response_ms",
        above_ms=HARMED_MS,
    ),
    percentile("p50_ms", "p50", "response_ms", 50),
    percentile("p95_ms", "p95", "response_ms", 95),
    percentile("p99_ms", "p99", "response_ms", 99),
    Measure("max_ms", "slowest", Unit.MS, Kind.MAXIMUM, sample="response_ms"),
    Measure(
        "answered_p99_ms",
        "p99 of those answered",
        Unit.MS,
        Kind.PERCENTILE,
        sample="response_ms",
        percent=99,
        answered_only=True,
        shown=False,
    ),
    percentile("service_p50_ms", "p50, from when it was sent", "service_ms", 50, shown=False),
    percentile("service_p99_ms", "p99, from when it was sent", "service_ms", 99),
    percentile("dispatch_lag_p50_ms", "sent late by, p50", "dispatch_lag_ms", 50, shown=False),
    percentile("dispatch_lag_p90_ms", "sent late by, p90", "dispatch_lag_ms", 90, shown=False),
    percentile("dispatch_lag_p95_ms", "sent late by, p95", "dispatch_lag_ms", 95, shown=False),
    percentile("dispatch_lag_p99_ms", "sent late by, p99", "dispatch_lag_ms", 99, shown=False),
)

#: Of a stream of orders for reports.
ORDERS = (
    count("accepted", "accepted", shown=False),
    count("finished", "finished", Better.HIGHER),
    percentile("run_p50_ms", "run time p50", "run_ms", 50),
    percentile("run_p95_ms", "run time p95", "run_ms", 95, shown=False),
    percentile("ready_p50_ms", "ready p50, from acceptance", "ready_ms", 50, shown=False),
    percentile("ready_p95_ms", "ready p95, from acceptance", "ready_ms", 95, shown=False),
    percentile("seen_p50_ms", "ready p50, as clients saw it", "seen_ms", 50),
    percentile("seen_p95_ms", "ready p95, as clients saw it", "seen_ms", 95),
    Measure("last_seen_ms", "last report ready after", Unit.MS, Kind.MAXIMUM, shown=False),
    Measure("cpu_ms", "CPU time of one", Unit.MS, Kind.LEVEL),
    Measure("alone_cpu_s", "CPU time of one, alone", Unit.SECONDS, Kind.LEVEL, shown=False),
)

#: Of orders that wait in a queue.
QUEUED_ORDERS = (
    percentile("wait_p50_ms", "queue wait p50", "wait_ms", 50),
    percentile("wait_p95_ms", "queue wait p95", "wait_ms", 95),
    Measure("wait_max_ms", "longest queue wait", Unit.MS, Kind.MAXIMUM, sample="wait_ms"),
)

#: Of orders whose clients come back when they are refused.
REFUSED_ORDERS = (
    count("refused", "refusals"),
    percentile("refused_p50_ms", "refusals p50", "refused_ms", 50, shown=False),
    percentile("refused_p95_ms", "refusals p95", "refused_ms", 95),
    count("early_retries", "sent again too early", Better.LOWER),
)

#: Of an event.
EVENTS = (
    Measure("at_ms", "happened at", Unit.MS, Kind.LEVEL, Better.NEITHER, shown=False),
    Measure("lasted_ms", "lasted", Unit.MS, Kind.LEVEL, Better.NEITHER, shown=False),
    count("lost", "accepted and never finished", Better.LOWER, promise=True),
    count("undone", "accepted or not, and never finished", Better.LOWER),
)

#: Of a kind of work that is done in bursts.
WORK = (
    Measure("alone_ms", "one piece alone", Unit.MS, Kind.LEVEL),
    Measure("burst_ms", "burst", Unit.MS, Kind.LEVEL),
    Measure("speedup", "speed-up", Unit.RATIO, Kind.LEVEL, Better.HIGHER),
    Measure("cores", "cores used", Unit.CORES, Kind.LEVEL, Better.HIGHER),
)

#: The share of the machine's CPU time that its host and other programs had.
TAKEN = "machine.taken_share"

#: Of the queues of an arm.
QUEUE = (
    Measure("queue.depth_max", "deepest queue", Unit.COUNT, Kind.MAXIMUM),
    Measure("queue.depth_slope_per_s", "queue grew by, undisturbed", Unit.PER_SECOND, Kind.LEVEL),
    Measure("queue.wait_max_ms", "longest wait, undisturbed", Unit.MS, Kind.MAXIMUM),
    Measure("queue.drain_jobs", "jobs left to drain", Unit.COUNT, Kind.LEVEL, shown=False),
    Measure("queue.drain_ms", "drained after", Unit.MS, Kind.LEVEL, shown=False),
    Measure(
        "queue.drain_per_s",
        "what was left drained by",
        Unit.PER_SECOND,
        Kind.LEVEL,
        Better.HIGHER,
    ),
)

#: Of the API and its event loops.
API = (
    Measure("api.timeout_ms", "server's timeout", Unit.MS, Kind.LEVEL, shown=False),
    count("api.workers_killed", "workers killed by the server's timeout", Better.LOWER),
    Measure("loop.lag_max_ms", "largest event loop lag", Unit.MS, Kind.MAXIMUM),
    count("loop.stalls", "event loop stalls", Better.LOWER),
    Measure("loop.lost_s", "time lost to stalls", Unit.SECONDS, Kind.COUNT),
    Measure("api.memory_peak_bytes", "memory of the API", Unit.BYTES, Kind.MAXIMUM, shown=False),
)

#: Of the scraper of an arm's metrics, beside what bystanders met.
SCRAPES = (
    count("stalls.seen", "times without an answer", shown=False),
    Measure("stalls.largest_ms", "longest time without an answer", Unit.MS, Kind.MAXIMUM),
    Measure("scrape.lag_seen_max_ms", "largest lag that a scrape showed", Unit.MS, Kind.MAXIMUM),
    count("scrape.showed_stall", "scrapes that showed a stall"),
    count("scrape.offered", "scrapes"),
    count("scrape.missed", "scrapes without an answer", Better.LOWER),
    count("scrape.missed_outside_stalls", "of these, while nothing stalled", Better.LOWER),
    Measure("scrape.waited_max_ms", "slowest scrape that was answered", Unit.MS, Kind.MAXIMUM),
    Measure(
        "stalls.named_share",
        "stalled time with the right name",
        Unit.SHARE,
        Kind.LEVEL,
        Better.HIGHER,
    ),
)

#: Of what reports leave behind.
EFFECTS = (
    count("jobs.count", "jobs"),
    count("jobs.attempts", "attempts at them"),
    count("ledger.entries", "ledger entries"),
    count("ledger.doubled", "reports with several entries", Better.LOWER, promise=True),
    Measure(
        "ledger.per_report_max",
        "most entries of one report",
        Unit.COUNT,
        Kind.MAXIMUM,
        promise=True,
    ),
    Measure(
        "ledger.per_job_max", "most entries of one job", Unit.COUNT, Kind.MAXIMUM, promise=True
    ),
    count("files.checked", "files served as done"),
    count("files.partial", "files that are not whole", Better.LOWER, promise=True),
    Measure("files.smallest_bytes", "smallest file", Unit.BYTES, Kind.MINIMUM),
)

#: Of an arm's jobs and processes, and of the machine.
STACK = (
    count("jobs.lost", "accepted and never finished", Better.LOWER, promise=True),
    Measure(
        "jobs.cpu_us_per_line", "CPU time per line", Unit.MICROSECONDS, Kind.LEVEL, shown=False
    ),
    Measure("stack.processes", "processes", Unit.COUNT, Kind.LEVEL),
    Measure("stack.cores_used", "cores used", Unit.CORES, Kind.LEVEL, shown=False),
    Measure("stack.memory_peak_bytes", "memory", Unit.BYTES, Kind.MAXIMUM),
    Measure("lab.memory_peak_bytes", "memory of everything", Unit.BYTES, Kind.MAXIMUM, shown=False),
    Measure(
        "code.changed_lines", "lines changed", Unit.COUNT, Kind.LEVEL, Better.NEITHER, shown=False
    ),
    Measure(TAKEN, "machine taken by other programs", Unit.SHARE, Kind.MAXIMUM, shown=False),
)

#: Of the program that does bursts.
POOL = (
    Measure("pool.start_ms", "workers ready after", Unit.MS, Kind.LEVEL),
    Measure("pool.memory_peak_bytes", "memory of the program", Unit.BYTES, Kind.MAXIMUM),
    Measure("interpreter.gil", "has a GIL", Unit.COUNT, Kind.MINIMUM, shown=False),
    Measure("machine.cpus", "processors", Unit.COUNT, Kind.MINIMUM, shown=False),
)

#: Measures with one subject, which is a part of their name.
NAMED = (*QUEUE, *API, *SCRAPES, *EFFECTS, *STACK, *POOL)

#: Groups of measures, by what they are about: a heading for the reference.
GROUPS: Mapping[str, tuple[Measure, ...]] = {
    "a stream of requests, and the answers to orders": REQUESTS,
    "a stream of orders": ORDERS,
    "orders that wait in a queue": QUEUED_ORDERS,
    "orders whose clients come back when they are refused": REFUSED_ORDERS,
    "an event": EVENTS,
    "the queues of an arm": QUEUE,
    "the API and its event loops": API,
    "what scrapes showed": SCRAPES,
    "what reports leave behind": EFFECTS,
    "an arm's jobs and processes": STACK,
    "a kind of work done in bursts": WORK,
    "the program that does bursts": POOL,
}

_BY_NAME = {measure.name: measure for group in GROUPS.values() for measure in group}


def measure_named(name: str) -> Measure:
    """Return the declaration of a measure.

    Args:
        name: Subject and name: ``before:kill.bystander.p99_ms``.

    Raises:
        UnknownMeasureError: there is none.
    """
    found = _BY_NAME.get(name) or _BY_NAME.get(name.rpartition(".")[2])
    if found is None:
        raise UnknownMeasureError(
            f"{name!r} is no measure: {nearest(name.rpartition('.')[2], _BY_NAME)}; "
            "docs/measures.md has all of them"
        )
    return found


def nearest(name: str, known: Mapping[str, object] | frozenset[str]) -> str:
    """Say which of the known names come nearest to one that is not known."""
    close = get_close_matches(name, list(known), n=3, cutoff=0.5)
    return f"the nearest is {' or '.join(close)}" if close else "nothing is called like it"


def subject(name: str) -> str:
    """Return the subject of a measure: ``before:kill.bystander`` of ``…bystander.p99_ms``."""
    return "" if name in _BY_NAME else name.rpartition(".")[0]


def sample_name(name: str) -> str:
    """Return the name of the sample that a measure is taken from."""
    declared = measure_named(name)
    assert declared.sample is not None  # noqa: S101 - asked of those that have one
    return f"{subject(name)}.{declared.sample}"


def names(of: str, *groups: tuple[Measure, ...]) -> Iterator[str]:
    """Yield the names of all measures of a subject."""
    for group in groups:
        for measure in group:
            yield f"{of}.{measure.name}"
