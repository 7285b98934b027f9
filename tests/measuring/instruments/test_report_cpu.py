import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from offloop.measuring.instruments.report_cpu import LastSeen, cpu_measures
from offloop.measuring.scraping import Scrape, scrape
from offloop.stack.service import Service
from tests.bench.support import report


class Process:
    """What serves the metrics of a process."""

    def __init__(self, started_s: float) -> None:
        self.started_s = started_s
        self.counted = 0.0
        process = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = (
                    f"process_start_time_seconds {process.started_s}\n"
                    f"counted_total {process.counted}\n"
                ).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/metrics"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def die(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@contextmanager
def processes(*started_s: float) -> Iterator[list[Process]]:
    found = [Process(each_s) for each_s in started_s]
    try:
        yield found
    finally:
        for process in found:
            process.die()


@pytest.fixture
def two() -> Iterator[list[Process]]:
    with processes(1.0, 2.0) as found:
        yield found


def service(found: list[Process]) -> Service:
    return Service("naive", ("true",), metrics_urls=tuple(process.url for process in found))


def test_a_replaced_process_counts_what_was_last_seen_of_it(
    two: list[Process],
) -> None:
    api = service(two)
    seen = LastSeen(api, scrape(api))
    for process in two:
        process.counted = 7
    seen.look()
    two[1].counted = 9  # after the last look, so that it is not seen
    two[1].started_s, two[1].counted = 3.0, 1.0
    seen.look()

    (gone,) = seen.of_replaced(scrape(api))

    assert gone.gained("counted_total") == 7


def test_a_process_replaced_before_the_first_look_counts_nothing(
    two: list[Process],
) -> None:
    api = service(two)
    seen = LastSeen(api, scrape(api))
    two[0].started_s = 3.0

    (gone,) = seen.of_replaced(scrape(api))

    assert gone.gained("counted_total") == 0


def test_processes_that_still_run_were_not_replaced(two: list[Process]) -> None:
    api = service(two)
    seen = LastSeen(api, scrape(api))
    seen.look()

    assert seen.of_replaced(scrape(api)) == []


def test_a_process_that_does_not_answer_does_not_stop_the_scrape_of_the_rest(
    two: list[Process],
) -> None:
    api = service(two)
    before = scrape(api)
    two[0].die()
    two[1].counted = 5
    seen = LastSeen(api, before)

    seen.look()

    replaced = [{"process_start_time_seconds": 9.0}] * 2
    assert [each.gained("counted_total") for each in seen.of_replaced(replaced)] == [0, 5]


def cpu(seconds: float, lines: int, *, begun_s: float = 1.0) -> dict[str, float]:
    return {
        "process_start_time_seconds": begun_s,
        "offloop_report_lines_total": lines,
        "offloop_report_cpu_seconds_sum": seconds,
    }


def test_cpu_is_measured_per_line_and_for_the_longest_report_of_a_stream() -> None:
    built = (Scrape(cpu(1.0, 1_000), cpu(1.7, 41_000)), Scrape(cpu(0, 0), cpu(0.5, 20_000)))
    reports = [
        *(report("short")._replace(rows=rows) for rows in (5_000, 4_000)),
        report("long")._replace(rows=50_000),
        report("giant", status="queued")._replace(rows=None),
    ]

    found = cpu_measures(built, reports)

    assert found["jobs.cpu_us_per_line"] == pytest.approx(20)
    assert found["short.cpu_ms"] == pytest.approx(100)
    assert found["long.cpu_ms"] == pytest.approx(1000)
    assert found["giant.cpu_ms"] is None


def test_cpu_counts_what_a_process_did_before_and_after_it_was_restarted() -> None:
    at_first = cpu(1.0, 1_000)
    right_before, afterwards = cpu(2.0, 51_000), cpu(1.0, 50_000, begun_s=2.0)

    found = cpu_measures((Scrape(at_first, right_before), Scrape(at_first, afterwards)), [])

    assert found["jobs.cpu_us_per_line"] == pytest.approx(20)


def test_cpu_is_absent_where_no_line_was_built() -> None:
    found = cpu_measures([Scrape(cpu(1.0, 9), cpu(1.0, 9))], [])

    assert found["jobs.cpu_us_per_line"] is None
