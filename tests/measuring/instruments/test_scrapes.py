"""Scraping on schedule, of a real server that answers when it is told to."""

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from offloop.measuring.instruments.scrapes import Schedule, Scrapes
from offloop.stack.asking import NoAnswerError
from offloop.stack.ports import LOOPBACK
from offloop.stack.service import Service

SERVICE = Service(name="naive", command=("true",))

#: A guard against hanging.
HANG_S = 30.0


class Metrics(ThreadingHTTPServer):
    """Metrics with a lag, from a server that can be kept from answering.

    Attributes:
        lag_s: What the gauge shows.
        body: What is answered; the gauge if it is None.
        answering: Whether a scrape gets an answer.
        asked: How often it was asked.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__((LOOPBACK, 0), Handler)
        self.lag_s = 0.001
        self.body: str | None = None
        self.answering = threading.Event()
        self.answering.set()
        self.asked = 0

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.server_port}/metrics"

    def wait_until_asked(self, more: int) -> None:
        deadline = time.monotonic() + HANG_S
        wanted = self.asked + more
        while self.asked < wanted:
            assert time.monotonic() < deadline
            time.sleep(0.005)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Metrics

    def do_GET(self) -> None:
        self.server.asked += 1
        self.server.answering.wait(HANG_S)
        gauge = f"# TYPE event_loop_lag_seconds gauge\nevent_loop_lag_seconds {self.server.lag_s}\n"
        body = (self.server.body or gauge).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        try:
            self.wfile.write(body)
        except OSError:
            self.close_connection = True  # the scraper has given up

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - overrides
        pass


@pytest.fixture
def metrics() -> Iterator[Metrics]:
    with Metrics() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.answering.set()
        server.shutdown()


INTERVAL_S = 0.5


def scrapes(metrics: Metrics) -> Scrapes:
    return Scrapes(SERVICE, metrics.url, Schedule(INTERVAL_S, 0.9 * INTERVAL_S), frozenset())


@pytest.mark.medium
def test_scrapes_keep_their_schedule_whether_or_not_earlier_ones_failed(metrics: Metrics) -> None:
    with scrapes(metrics) as looking:
        looking.began(time.monotonic())
        metrics.wait_until_asked(2)
        metrics.answering.clear()
        metrics.wait_until_asked(2)
        metrics.answering.set()
        metrics.wait_until_asked(3)
    looks = looking.scraped().looks

    schedule = [number * INTERVAL_S for number in range(len(looks))]
    assert [look.due_s for look in looks] == pytest.approx(schedule)
    assert all(look.sent_s >= look.due_s for look in looks)
    missed = [look.done_s is None for look in looks]
    assert missed.count(True) >= 1
    assert not missed[0]
    assert missed.count(False) >= 3
    assert all((look.exposed is None) == (look.done_s is None) for look in looks)


def test_scraping_begins_when_earlier_lag_has_left_the_window(metrics: Metrics) -> None:
    metrics.lag_s = 0.7

    def forget() -> None:
        metrics.wait_until_asked(2)
        metrics.lag_s = 0.001

    threading.Thread(target=forget, daemon=True).start()
    with scrapes(metrics) as looking:
        assert metrics.lag_s == pytest.approx(0.001)

    assert looking.scraped().before.lag_s == pytest.approx(0.001)
    assert looking.scraped().looks == []


def test_an_answer_without_metrics_counts_as_a_missed_scrape(metrics: Metrics) -> None:
    with scrapes(metrics) as looking:
        metrics.body = "{"
        looking.began(time.monotonic())
        metrics.wait_until_asked(1)
        metrics.body = None
    looks = looking.scraped().looks

    assert looks[0].done_s is None


def test_scraping_stops_at_once_after_an_error(metrics: Metrics) -> None:
    looking = Scrapes(SERVICE, metrics.url, Schedule(10 * HANG_S, 0.2), frozenset())

    def fail_under_load() -> None:
        with looking:
            looking.began(time.monotonic())
            raise LookupError

    with pytest.raises(LookupError):
        fail_under_load()

    assert metrics.asked <= 2


def test_a_service_without_metrics_is_an_error(metrics: Metrics) -> None:
    looking = Scrapes(SERVICE, f"http://{LOOPBACK}:1/metrics", Schedule(1, 0.2), frozenset())

    with pytest.raises(NoAnswerError, match="naive did not answer GET"), looking:
        pass
