import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from offloop.measuring.scraping import scrape
from offloop.stack.asking import NoAnswerError, ask
from offloop.stack.ports import free_port
from offloop.stack.service import Service

METRICS = b"""\
# HELP offloop_loop_stalls_total Stalls.
# TYPE offloop_loop_stalls_total counter
offloop_loop_stalls_total 3.0
# TYPE requests counter
requests_total{path="/ping"} 9.0
"""

PROBLEM = b'{"title": "Unprocessable Content", "detail": "shipped_to is before shipped_from"}'

GUARD_S = 30.0


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self._answer(200, METRICS)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/echo":
            self._answer(201, body)
        elif self.path == "/problem":
            self._answer(422, PROBLEM)
        else:
            self.close_connection = True

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}"
        yield Service("naive", ("true",), url=url, metrics_urls=(f"{url}/metrics",))
        server.shutdown()
        thread.join()


def test_the_body_of_a_success_is_returned(service: Service) -> None:
    assert ask(service, f"{service.url}/echo", timeout_s=GUARD_S, body=b"{}") == b"{}"


def test_an_error_names_the_service_the_request_and_the_answer(service: Service) -> None:
    with pytest.raises(NoAnswerError) as failed:
        ask(service, f"{service.url}/problem", timeout_s=GUARD_S, body=b"{}")

    for words in ("naive", "POST", "/problem", "422", "shipped_to is before shipped_from"):
        assert words in str(failed.value)


def test_a_connection_that_is_cut_is_no_answer(service: Service) -> None:
    with pytest.raises(NoAnswerError, match=r"naive did not answer POST .*/cut: "):
        ask(service, f"{service.url}/cut", timeout_s=GUARD_S, body=b"{}")


def test_a_port_without_a_listener_gives_no_answer() -> None:
    gone = Service("naive", ("true",), url=f"http://127.0.0.1:{free_port()}")

    with pytest.raises(NoAnswerError, match=r"naive did not answer GET .*Connection refused"):
        ask(gone, gone.url or "", timeout_s=GUARD_S)


def test_a_proxy_in_the_environment_is_ignored(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")

    assert scrape(service)


def test_samples_without_labels_are_scraped_by_name(service: Service) -> None:
    assert scrape(service) == [{"offloop_loop_stalls_total": 3.0}]


def test_a_service_without_metrics_has_none() -> None:
    assert scrape(Service("redis", ("true",))) == []
