"""Scraping a service's metrics on schedule while its load runs, as Prometheus would."""

import http.client
import itertools
import threading
import time
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from offloop.bench.asking import NoAnswerError, ask
from offloop.bench.experiment import Experiment
from offloop.bench.observed import Code, Exposed, Look, Observed, Schedule
from offloop.stack.catalog import WAYS
from offloop.stack.service import Service
from offloop.telemetry.loop_monitor import STALL_THRESHOLD_S, WINDOW_S

#: Seconds to wait for what is read outside of the schedule.
_TIMEOUT_S = 5.0

#: Seconds between two looks whether the metrics have forgotten earlier stalls.
_LOOK_S = 0.1


def observer_of(experiment: Experiment, arm: str, api: Service, schedule: Schedule) -> "Observer":
    """Prepare to scrape an arm's API where its metrics are, as the experiment says.

    Raises:
        NoAnswerError: it has none.
    """
    assert experiment.scrape is not None  # noqa: S101 - asked for where there is one
    guilty = experiment.scrape.guilty_code
    if WAYS[experiment.arms[arm].way].metrics_on_loop:
        return Observer(api, f"{api.url}/metrics", schedule, guilty)
    if api.metrics_url is None:
        raise NoAnswerError(f"{api.name} exposes no metrics to scrape.")
    return Observer(api, api.metrics_url, schedule, guilty)


class Observer:
    """Scrapes one service, in a thread of its own.

    An open model: a scrape is due at its time whatever became of the one before, and one that was
    given up is recorded as missed. Use as a context manager around the load. It is entered once
    the metrics show nothing of earlier stalls any more.
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

    def begin(self, start_monotonic_s: float) -> None:
        """Begin to scrape; called again, it does nothing.

        Args:
            start_monotonic_s: Second 0 of the load, on CLOCK_MONOTONIC.
        """
        if self._thread is None:
            run = threading.Thread(
                target=self._run, args=(start_monotonic_s,), name="observer", daemon=True
            )
            self._thread = run
            run.start()

    def result(self) -> Observed:
        """Return what was seen, once the load is over.

        Raises:
            NoAnswerError: the metrics cannot be read any more.
        """
        timeout_s = self._schedule.timeout_s
        return Observed(self._looks, timeout_s, self._guilty, self._before, self._read())

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
