"""A server for callbacks that notes what it is sent, and answers as it is told."""

import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

from standardwebhooks import Webhook

#: Answers one request.
Answer = Callable[["Handler"], None]


@dataclass(frozen=True)
class Delivery:
    """One request; header names are in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def event_id(self) -> str:
        return self.headers["webhook-id"]

    def verified(self, secret: str) -> object:
        """What was sent, if the standard's own library finds that it was signed with `secret`."""
        content: object = Webhook(secret).verify(self.body, self.headers)
        return content


def status(code: int, **headers: str) -> Answer:
    """Answer with a status; underscores in the names of headers stand for hyphens."""

    def answer(handler: "Handler") -> None:
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("content-length", "0")
        handler.end_headers()

    return answer


def redirect(to: str) -> Answer:
    return status(307, location=to)


def stall(handler: "Handler") -> None:
    """Do not answer until the receiver is closed."""
    handler.server.closing.wait()


def drip(handler: "Handler") -> None:
    """Send a header that has no end, byte by byte, faster than any limit on one read."""
    with suppress(OSError):  # the client has closed the connection
        handler.wfile.write(b"HTTP/1.0 200 OK\r\nx-long: ")
        while not handler.server.closing.wait(0.02):
            handler.wfile.write(b"x")


class _Server(ThreadingHTTPServer):
    # Closing waits for the threads, so that none is left behind.
    daemon_threads = False
    # With socketserver's five, a burst would have to connect again after a second.
    request_queue_size = 128

    def __init__(self, port: int, receiver: "Receiver") -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.receiver = receiver
        self.closing = threading.Event()


class Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_POST(self) -> None:
        length = int(self.headers.get("content-length", "0"))
        headers = {name.lower(): value for name, value in self.headers.items()}
        delivery = Delivery(self.command, self.path, headers, self.rfile.read(length))
        self.server.receiver.next_answer(delivery)(self)

    def do_GET(self) -> None:
        self.do_POST()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Say nothing on stderr."""


class Receiver:
    """Listens on loopback from when it is made until it is closed.

    Attributes:
        deliveries: What was received, in the order of arrival.
        otherwise: How everything is answered that `answer` says nothing about.
    """

    def __init__(self, port: int = 0) -> None:
        self.deliveries: list[Delivery] = []
        self.otherwise: Answer = status(204)
        self._answers: deque[Answer] = deque()
        self._server = _Server(port, self)
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.host}/hook"

    @property
    def event_ids(self) -> list[str]:
        return [delivery.event_id for delivery in list(self.deliveries)]

    def answer(self, *answers: Answer) -> None:
        """Answer the next requests like this, one each."""
        self._answers.extend(answers)

    def next_answer(self, delivery: Delivery) -> Answer:
        self.deliveries.append(delivery)
        with suppress(IndexError):
            return self._answers.popleft()
        return self.otherwise

    def close(self) -> None:
        """Stop listening: connections are refused from now on."""
        self._server.closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
