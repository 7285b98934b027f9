"""Scraping a service's metrics while it stalls: what shows of the stalls, and what does not.

When the service really stalled is known from requests that have nothing to do with its metrics.
"""

import http.client
import itertools
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import NamedTuple, Self
from urllib.parse import urlsplit

from prometheus_client.parser import text_string_to_metric_families

from offloop.load.log import RequestLog
from offloop.measuring.instruments.event_loop import LARGEST_LAG
from offloop.measuring.instruments.instrument import Instrument
from offloop.measuring.instruments.silences import (
    Silence,
    cut_at,
    length_s,
    plain_requests,
    silences,
)
from offloop.measuring.measure import Better, Kind, Measure, Unit, count
from offloop.measuring.rows import Rows
from offloop.measuring.values import Recorded
from offloop.stack.asking import ask
from offloop.stack.service import Service
from offloop.telemetry.loop_monitor import STALL_THRESHOLD_S, WINDOW_S

_MS = 1000

#: Of the scraper of an arm's metrics, beside what bystanders met.
MEASURES = (
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

#: Seconds to wait for what is read outside of the schedule.
_TIMEOUT_S = 5.0

#: Seconds between two looks whether the metrics have forgotten earlier stalls.
_LOOK_S = 0.1

#: Gauges of the event loop's lag: the largest of the last while, where it is kept, or the last one.
LAST_LAG = "event_loop_lag_seconds"

#: Seconds of stalls, by the code that held the loop.
_BY_CODE = "offloop_loop_stall_seconds"

#: File and function.
Code = tuple[str, str]


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
class Scraped:
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


class Scrapes(Instrument):
    """Scrapes the metrics of one service on schedule, as Prometheus would, in its own thread.

    An open model: a scrape is due at its time whatever became of the one before, and one that was
    given up is recorded as missed. It is entered once the metrics show nothing of earlier stalls
    any more.
    """

    def __init__(
        self, service: Service, url: str, schedule: Schedule, guilty: frozenset[Code]
    ) -> None:
        """Prepare to scrape.

        Args:
            service: Whom, for errors.
            url: Where its metrics are; plain http.
            schedule: When.
            guilty: The code that is known to hold its event loop.
        """
        self._service = service
        self._url = url
        self._schedule = schedule
        self._guilty = guilty
        self._looks: list[Look] = []
        self._scraper = _Scraper(url, schedule.timeout_s)
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        deadline = time.monotonic() + 2 * WINDOW_S
        self._before = self._read()
        # Where the loop lags all the time, that is what the load will meet as well.
        while (self._before.lag_s or 0.0) >= STALL_THRESHOLD_S and time.monotonic() < deadline:
            time.sleep(_LOOK_S)
            self._before = self._read()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._over.set()
        if self._thread is not None:
            self._thread.join()
        self._scraper.close()

    def began(self, start_monotonic_s: float) -> None:
        """Begin to scrape."""
        self._thread = threading.Thread(
            target=self._run, args=(start_monotonic_s,), name="scrapes", daemon=True
        )
        self._thread.start()

    def measured(self, rows: Rows) -> Recorded:
        """Work out what scrapes showed of the stalls.

        Raises:
            NoAnswerError: the metrics cannot be read any more.
        """
        return Recorded.of(scrape_measures(self.scraped(), rows.log))

    def scraped(self) -> Scraped:
        """Return what was seen, once the load is over.

        Raises:
            NoAnswerError: the metrics cannot be read any more.
        """
        timeout_s = self._schedule.timeout_s
        return Scraped(self._looks, timeout_s, self._guilty, self._before, self._read())

    def _read(self) -> Exposed:
        return Exposed.parse(ask(self._service, self._url, timeout_s=_TIMEOUT_S).decode())

    def _run(self, start_s: float) -> None:
        for number in itertools.count():
            due_s = start_s + number * self._schedule.interval_s
            if self._over.wait(max(0.0, due_s - time.monotonic())):
                return
            sent_s = time.monotonic()
            text = self._scraper.scrape()
            done_s = time.monotonic()
            exposed = None if text is None else _parsed(text)
            # The load's second 0 is a moment ago when this begins.
            self._looks.append(
                Look(
                    due_s - start_s,
                    sent_s - start_s,
                    None if exposed is None else done_s - start_s,
                    exposed,
                )
            )


def _parsed(text: str) -> Exposed | None:
    try:
        return Exposed.parse(text)
    except ValueError:
        return None  # to Prometheus, a scrape that failed


class _Scraper:
    """Asks for metrics over one connection, for as long as the server keeps it open."""

    def __init__(self, url: str, timeout_s: float) -> None:
        parts = urlsplit(url)
        self._path = parts.path
        self._timeout_s = timeout_s
        self._connection = http.client.HTTPConnection(parts.netloc, timeout=timeout_s)

    def scrape(self) -> str | None:
        """Return the metrics; None if they were not there in time."""
        deadline = time.monotonic() + self._timeout_s
        try:
            self._connection.request("GET", self._path)
            answer = self._connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException):
            self._connection.close()
            return None
        # The timeout of the connection is for each single step.
        if answer.status != http.client.OK or time.monotonic() > deadline:
            return None
        return body.decode(errors="replace")

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def scrape_measures(scraped: Scraped, log: RequestLog) -> dict[str, float | None]:
    """Work out what was seen of the stalls, beside what there was to see.

    Both until the last scrape that was sent while there were plain requests, too: reports are
    still built when those are over, and a stall goes on after it has been scraped.
    """
    stalls = silences(log)
    last_s = max((row.sent_s for row in plain_requests(log) if row.sent_s is not None), default=0.0)
    looks = [look for look in scraped.looks if look.sent_s <= last_s]
    until_s = max((look.sent_s for look in looks), default=0.0)
    to_see = [length_s(stall) for stall in cut_at(until_s, stalls)]
    arrived = [look for look in looks if look.done_s is not None]
    missed = [look for look in looks if look.done_s is None]
    lags = [look.exposed.lag_s for look in arrived if look.exposed is not None]
    seen = [lag_s for lag_s in lags if lag_s is not None]
    waited = [look.done_s - look.sent_s for look in arrived if look.done_s is not None]
    return {
        "stalls.seen": len(to_see),
        "stalls.largest_ms": _MS * max(to_see) if to_see else None,
        "stalls.named_share": _named_share(scraped),
        "scrape.offered": len(looks),
        "scrape.missed": len(missed),
        "scrape.missed_outside_stalls": sum(
            not _meets(look, scraped.timeout_s, stalls) for look in missed
        ),
        "scrape.waited_max_ms": _MS * max(waited) if waited else None,
        "scrape.lag_seen_max_ms": _MS * max(seen) if seen else None,
        "scrape.showed_stall": sum(lag_s >= STALL_THRESHOLD_S for lag_s in seen) if seen else None,
    }


def _meets(look: Look, timeout_s: float, stalls: Sequence[Silence]) -> bool:
    """Whether it was waited for during a stall."""
    until_s = look.sent_s + timeout_s
    return any(stall.begin_s < until_s and look.sent_s < stall.end_s for stall in stalls)


def _named_share(scraped: Scraped) -> float | None:
    """Return the share of the stalled seconds that the guilty code was blamed for."""
    before, after = scraped.before.stalled, scraped.after.stalled
    if before is None or after is None:
        return None
    gained = {code: seconds - before.get(code, 0.0) for code, seconds in after.items()}
    total_s = sum(gained.values())
    if not total_s:
        return None
    return sum(gained.get(code, 0.0) for code in scraped.guilty) / total_s
