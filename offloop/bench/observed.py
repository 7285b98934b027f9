"""What somebody saw who scraped a service's metrics while it stalled: pure functions.

When the service really stalled is known from others, who do not look at its metrics: the plain
requests that were on their way and were not answered.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

from prometheus_client.parser import text_string_to_metric_families
from pydantic import Field, PositiveFloat, model_validator

from offloop.bench.question import ExperimentError
from offloop.bench.scraping import LARGEST_LAG
from offloop.load.log import RequestLog, succeeded
from offloop.load.records import RequestRow
from offloop.tables import Table
from offloop.telemetry.loop_monitor import STALL_THRESHOLD_S

_MS = 1000

#: Gauges of the event loop's lag: the largest of the last while, where it is kept, or the last one.
LAST_LAG = "event_loop_lag_seconds"

#: Seconds of stalls, by the code that held the loop.
_BY_CODE = "offloop_loop_stall_seconds"

#: File and function.
Code = tuple[str, str]


class Scraping(Table):
    """How the metrics of an arm that builds reports are scraped meanwhile, as Prometheus would.

    Times are in stalls: how long a report holds the event loop of the naive arm, which is measured
    at the start of the run.
    """

    interval_stalls: PositiveFloat
    """Time between two scrapes."""
    timeout_stalls: PositiveFloat
    """Time after which a scrape is given up."""
    guilty: Mapping[str, tuple[str, ...]] = Field(min_length=1)
    """The code that is known to hold the loop: file = its functions."""

    @model_validator(mode="after")
    def _is_one_at_a_time(self) -> Self:
        if self.timeout_stalls >= self.interval_stalls:
            raise ValueError(
                f"timeout_stalls is {self.timeout_stalls:g} and interval_stalls "
                f"{self.interval_stalls:g}: a scrape is given up before the next one is due"
            )
        return self

    @property
    def guilty_code(self) -> frozenset[Code]:
        """The functions that are known to hold the loop, each with its file."""
        return frozenset(
            (file, function) for file, functions in self.guilty.items() for function in functions
        )

    def schedule(self, stall_s: float | None) -> "Schedule":
        """Return the times in seconds, for stalls that are this long.

        Raises:
            ExperimentError: there are none.
        """
        if not stall_s:
            raise ExperimentError(
                "Metrics are scraped as often as a report holds the event loop, and none did for "
                f"{STALL_THRESHOLD_S:g} s or more while it was measured. Order larger reports."
            )
        return Schedule(self.interval_stalls * stall_s, self.timeout_stalls * stall_s)


class Schedule(NamedTuple):
    """How often metrics are scraped, and how long an answer is waited for; seconds."""

    interval_s: float
    timeout_s: float


@dataclass(frozen=True)
class Exposed:
    """What the metrics of a service said about its event loop.

    Attributes:
        lag_s: The lag that its gauge showed; None if it has none.
        stalled: Seconds of stalls so far by the code that held the loop; None if it does not say.
    """

    lag_s: float | None
    stalled: Mapping[Code, float] | None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the text format.

        Raises:
            ValueError: it is not.
        """
        families = {family.name: family for family in text_string_to_metric_families(text)}
        lags = [
            sample.value
            for name in (LARGEST_LAG, LAST_LAG)
            if name in families
            for sample in families[name].samples
        ]
        stalled: dict[Code, float] | None = None
        if _BY_CODE in families:
            stalled = {}
            for sample in families[_BY_CODE].samples:
                if sample.name == f"{_BY_CODE}_sum":
                    code = sample.labels["file"], sample.labels["function"]
                    stalled[code] = stalled.get(code, 0.0) + sample.value
        return cls(lags[0] if lags else None, stalled)


class Look(NamedTuple):
    """One scrape; moments are seconds since the start of the load.

    Attributes:
        due_s: When it was due.
        sent_s: When it was sent.
        done_s: When the answer was there; None if it was not in time.
        exposed: What it said; None without an answer.
    """

    due_s: float
    sent_s: float
    done_s: float | None
    exposed: Exposed | None


@dataclass(frozen=True)
class Observed:
    """All that was scraped while one arm ran.

    Attributes:
        looks: The scrapes, as they were due.
        timeout_s: Seconds after which one was given up.
        guilty: The code that is known to hold the loop.
        before: What the metrics said before the load.
        after: What they said when the load was over.
    """

    looks: Sequence[Look]
    timeout_s: float
    guilty: frozenset[Code]
    before: Exposed
    after: Exposed


class Silence(NamedTuple):
    """A time in which requests were on their way and none was answered; seconds."""

    begin_s: float
    end_s: float


def silences(log: RequestLog) -> list[Silence]:
    """Find when the service answered none of the plain requests, for as long as a stall or longer.

    Each begins with the first request that was sent in it, or was on its way already, and ends
    with the next answer. So it is shorter than the stall by up to the time between two requests.
    """
    waits = sorted(
        (row.done_s if row.done_s is not None and succeeded(row) else log.deadline_s, row.sent_s)
        for row in _plain(log)
        if row.sent_s is not None
    )
    return [silence for silence in _silences(waits) if _length_s(silence) >= STALL_THRESHOLD_S]


def _plain(log: RequestLog) -> list[RequestRow]:
    """Return the requests that have nothing to do with reports."""
    orders = {row.name for row in log.reports}
    return [row for row in log.requests if row.name not in orders]


def _silences(waits: Sequence[tuple[float, float]]) -> Iterator[Silence]:
    """Yield the times between two answers in which somebody waited.

    Args:
        waits: When each request was answered, and when it was sent; by the first.
    """
    # The first that was sent of all that are answered now or later.
    first_sent_s: list[float] = []
    earliest_s = float("inf")
    for _, sent_s in reversed(waits):
        earliest_s = min(earliest_s, sent_s)
        first_sent_s.append(earliest_s)
    answered_s = float("-inf")
    for (done_s, _), sent_s in zip(waits, reversed(first_sent_s), strict=True):
        yield Silence(max(answered_s, sent_s), done_s)
        answered_s = done_s


def _length_s(silence: Silence) -> float:
    return silence.end_s - silence.begin_s


def observed_measures(observed: Observed, log: RequestLog) -> dict[str, float | None]:
    """Work out what was seen of the stalls, beside what there was to see.

    Both until the last scrape that was sent while there were plain requests, too: reports are
    still built when those are over, and a stall goes on after it has been scraped.
    """
    stalls = silences(log)
    last_s = max((row.sent_s for row in _plain(log) if row.sent_s is not None), default=0.0)
    looks = [look for look in observed.looks if look.sent_s <= last_s]
    until_s = max((look.sent_s for look in looks), default=0.0)
    to_see = [_length_s(stall) for stall in _until(until_s, stalls)]
    arrived = [look for look in looks if look.done_s is not None]
    missed = [look for look in looks if look.done_s is None]
    lags = [look.exposed.lag_s for look in arrived if look.exposed is not None]
    seen = [lag_s for lag_s in lags if lag_s is not None]
    waited = [look.done_s - look.sent_s for look in arrived if look.done_s is not None]
    return {
        "stalls.seen": len(to_see),
        "stalls.largest_ms": _MS * max(to_see) if to_see else None,
        "stalls.named_share": _named_share(observed),
        "scrape.offered": len(looks),
        "scrape.missed": len(missed),
        "scrape.missed_outside_stalls": sum(
            not _meets(look, observed.timeout_s, stalls) for look in missed
        ),
        "scrape.waited_max_ms": _MS * max(waited) if waited else None,
        "scrape.lag_seen_max_ms": _MS * max(seen) if seen else None,
        "scrape.showed_stall": sum(lag_s >= STALL_THRESHOLD_S for lag_s in seen) if seen else None,
    }


def _until(until_s: float, stalls: Sequence[Silence]) -> list[Silence]:
    """Cut stalls off at a moment; what is left of one need not be one."""
    cut = [stall._replace(end_s=min(stall.end_s, until_s)) for stall in stalls]
    return [stall for stall in cut if _length_s(stall) >= STALL_THRESHOLD_S]


def _meets(look: Look, timeout_s: float, stalls: Sequence[Silence]) -> bool:
    """Whether it was waited for during a stall."""
    until_s = look.sent_s + timeout_s
    return any(stall.begin_s < until_s and look.sent_s < stall.end_s for stall in stalls)


def _named_share(observed: Observed) -> float | None:
    """Return the share of the stalled seconds that the guilty code was blamed for."""
    before, after = observed.before.stalled, observed.after.stalled
    if before is None or after is None:
        return None
    gained = {code: seconds - before.get(code, 0.0) for code, seconds in after.items()}
    total_s = sum(gained.values())
    if not total_s:
        return None
    return sum(gained.get(code, 0.0) for code in observed.guilty) / total_s
