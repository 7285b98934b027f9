import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from offloop.bench.last_seen import LastSeen
from offloop.bench.scraping import scrape
from offloop.stack.service import Service


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


def test_of_a_process_that_was_replaced_it_is_known_what_it_was_last_seen_to_count(
    two: list[Process],
) -> None:
    api = service(two)
    seen = LastSeen(api, scrape(api))
    for process in two:
        process.counted = 7
    seen.look()
    two[1].counted = 9  # after the last look: nobody knows of it
    two[1].started_s, two[1].counted = 3.0, 1.0
    seen.look()

    (gone,) = seen.of_replaced(scrape(api))

    assert gone.gained("counted_total") == 7


def test_of_one_that_was_gone_before_anybody_looked_nothing_was_counted(
    two: list[Process],
) -> None:
    api = service(two)
    seen = LastSeen(api, scrape(api))
    two[0].started_s = 3.0

    (gone,) = seen.of_replaced(scrape(api))

    assert gone.gained("counted_total") == 0


def test_where_all_are_still_there_none_was_replaced(two: list[Process]) -> None:
    api = service(two)
    seen = LastSeen(api, scrape(api))
    seen.look()

    assert seen.of_replaced(scrape(api)) == []


def test_one_that_does_not_answer_keeps_nobody_from_asking_the_others(two: list[Process]) -> None:
    api = service(two)
    before = scrape(api)
    two[0].die()
    two[1].counted = 5
    seen = LastSeen(api, before)

    seen.look()

    replaced = [{"process_start_time_seconds": 9.0}] * 2
    assert [each.gained("counted_total") for each in seen.of_replaced(replaced)] == [0, 5]
