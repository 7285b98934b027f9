"""Idempotency keys, as a server sees them."""

import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from pydantic import ValidationError

from offloop.load.generator import Generator
from offloop.load.plan import Plan, Stream

pytestmark = pytest.mark.medium


class Till(ThreadingHTTPServer):
    """Answers everything, and notes the path and the key of every request, in their order."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.seen: list[tuple[str, str | None]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def keys(self, path: str) -> list[str | None]:
        return [key for asked, key in self.seen if asked == path]


class _Handler(BaseHTTPRequestHandler):
    server: Till
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.server.seen.append((self.path, self.headers["Idempotency-Key"]))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


@pytest.fixture
def till() -> Iterator[Till]:
    with Till() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def stream(till: Till, name: str, due_s: Sequence[float], keys: str | None) -> Stream:
    return Stream(name=name, path=f"/{name}", base_url=till.url, due_s=list(due_s), keys=keys)


def plan(*streams: Stream) -> Plan:
    return Plan(streams=list(streams), duration_s=1, drain_s=5, seed=7)


def test_each_request_has_a_key_of_its_own_in_quotes(
    generator: Generator, till: Till, tmp_path: Path
) -> None:
    generator.run(plan(stream(till, "a", [0.0, 0.1, 0.2], keys="a")), tmp_path)

    keys = till.keys("/a")
    assert len(set(keys)) == 3
    assert all(key and key[0] == key[-1] == '"' for key in keys)


def test_who_asks_again_sends_the_key_of_the_first_time(
    generator: Generator, till: Till, tmp_path: Path
) -> None:
    first = stream(till, "first", [0.0, 0.1, 0.2], keys="order")
    again = stream(till, "again", [0.25, 0.35], keys="order")

    generator.run(plan(first, again), tmp_path)

    assert till.keys("/again") == till.keys("/first")[:2]


def test_streams_that_name_other_keys_share_none(
    generator: Generator, till: Till, tmp_path: Path
) -> None:
    both = (stream(till, "a", [0.0], keys="a"), stream(till, "b", [0.1], keys="b"))

    generator.run(plan(*both), tmp_path)

    assert till.keys("/a") != till.keys("/b")


def test_the_same_plan_has_other_keys_the_next_time(
    generator: Generator, till: Till, tmp_path: Path
) -> None:
    """A server remembers those of the time before."""
    same = plan(stream(till, "a", [0.0], keys="a"))

    generator.run(same, tmp_path)
    generator.run(same, tmp_path)

    once, again = till.keys("/a")
    assert once != again


def test_without_a_word_about_keys_none_is_sent(
    generator: Generator, till: Till, tmp_path: Path
) -> None:
    generator.run(plan(stream(till, "a", [0.0], keys=None)), tmp_path)

    assert till.keys("/a") == [None]


def test_what_would_not_fit_into_a_header_names_no_keys(till: Till) -> None:
    with pytest.raises(ValidationError, match="keys"):
        stream(till, "a", [0.0], keys='a"\r\n')
