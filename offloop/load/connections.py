"""HTTP/1.1 over gevent sockets for the generator: one attempt a request, as many as are due.

FastHttpUser's own parser reads the answers. Its session and pool are not used, because they would
change the load: the session follows redirects and keeps cookies, the pool makes requests wait for
each other above its limit, and an idempotent request whose connection closes is sent again, up to
once for each connection that the pool may hold.
"""

import socket
import ssl
from collections import defaultdict
from dataclasses import dataclass
from time import monotonic
from typing import Self
from urllib.parse import SplitResult, urlsplit

import gevent.socket
import gevent.ssl
from geventhttpclient.header import Headers
from geventhttpclient.response import HTTPConnectionClosed, HTTPParseError, HTTPSocketResponse

from offloop.load.stamped_socket import StampedSocket

#: A connection idle for longer is not used again. Well below the shortest keep-alive of the common
#: servers (gunicorn's threads: 2 s, uvicorn: 5 s), so none of them closes it under a request.
IDLE_LIMIT_S = 1.0

_DEFAULT_PORT = {"http": 80, "https": 443}

#: What a request may die of, apart from a bad status.
EXCHANGE_ERRORS = (OSError, HTTPParseError)


@dataclass(frozen=True, slots=True)
class Origin:
    """A server, as RFC 6454 tells servers apart."""

    scheme: str
    host: str
    port: int

    @classmethod
    def of(cls, url: str) -> Self:
        """Read the origin of an absolute `http` or `https` URL."""
        parts = urlsplit(url)
        return cls(parts.scheme, parts.hostname or "", parts.port or _DEFAULT_PORT[parts.scheme])


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer.

    Attributes:
        status: HTTP status.
        headers: Compares names without case.
        body: As it was sent.
        received_s: CLOCK_MONOTONIC moment at which its last byte arrived.
    """

    status: int
    headers: Headers
    body: bytes
    received_s: float


def request_target(url: str) -> str:
    """Give path and query of a URL, as they stand in the request line."""
    parts = urlsplit(url)
    return SplitResult("", "", parts.path or "/", parts.query, "").geturl()


def host_header(url: str) -> str:
    """Give the `Host` header for a URL: host and port without credentials."""
    return urlsplit(url).netloc.rpartition("@")[2]


def reason(error: Exception) -> str:
    """Name what a request died of in the few words that the log keeps."""
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, HTTPConnectionClosed | ConnectionResetError | BrokenPipeError):
        return "connection closed"
    return " ".join(f"{type(error).__name__}: {error}".split())


#: The key of idle connections: the server, and the client that keeps them (None: shared by all).
_Owner = tuple[Origin, str | None]


class Connections:
    """Open connections, reused last in first out; a request that finds none idle opens one."""

    def __init__(self) -> None:
        self._idle: defaultdict[_Owner, list[tuple[float, gevent.socket.socket]]] = defaultdict(
            list
        )
        self._addresses: dict[Origin, tuple[int, tuple[object, ...]]] = {}
        self._tls: ssl.SSLContext | None = None

    def resolve(self, origin: Origin) -> None:
        """Look the host up, so that no request has to wait for it.

        Raises:
            OSError: There is no such host.
        """
        if origin not in self._addresses:
            family, _, _, _, address = gevent.socket.getaddrinfo(
                origin.host, origin.port, type=socket.SOCK_STREAM
            )[0]
            self._addresses[origin] = (family, address)

    def exchange(
        self, origin: Origin, method: str, request: bytes, client: str | None = None
    ) -> Answer:
        """Send `request` once and read the whole answer.

        Args:
            origin: The server.
            method: Of the request.
            request: As it is sent.
            client: Sends it, on a connection of its own; None for a shared connection.

        Raises:
            OSError: The connection could not be made, or broke.
            HTTPParseError: The answer is not HTTP, incomplete, or never came.
        """
        connection = self._take(origin, client)
        keep = False
        try:
            connection.sendall(request)
            response = HTTPSocketResponse(connection, method=method)
            body = bytes(response.read())
            received_s = _received_s(connection)
            keep = not response.should_close()
        finally:
            # Also when the deadline kills this greenlet in the middle of an answer.
            if not keep:
                connection.close()
        self._idle[origin, client].append((monotonic(), connection))
        return Answer(response.get_code(), response.info(), body, received_s)

    def close(self) -> None:
        """Close what is idle; connections in use are closed by their requests."""
        for idle in self._idle.values():
            for _, connection in idle:
                connection.close()
        self._idle.clear()

    def _take(self, origin: Origin, client: str | None) -> gevent.socket.socket:
        idle = self._idle[origin, client]
        while idle:
            since, connection = idle.pop()
            if monotonic() - since <= IDLE_LIMIT_S and _is_open(connection):
                return connection
            connection.close()
        return self._open(origin)

    def _open(self, origin: Origin) -> gevent.socket.socket:
        self.resolve(origin)
        family, address = self._addresses[origin]
        connection: gevent.socket.socket = StampedSocket(family)
        try:
            connection.connect(address)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if origin.scheme == "https":
                if self._tls is None:
                    self._tls = gevent.ssl.create_default_context()
                connection = self._tls.wrap_socket(connection, server_hostname=origin.host)
        except BaseException:
            connection.close()
            raise
        return connection


def _received_s(connection: gevent.socket.socket) -> float:
    if isinstance(connection, StampedSocket):
        return connection.received_s
    # TLS reads records, not segments.
    return monotonic()


def _is_open(connection: gevent.socket.socket) -> bool:
    """Tell whether an idle connection is silent: neither an end of file nor stray bytes."""
    if isinstance(connection, gevent.ssl.SSLSocket):
        # TLS may talk between answers (session tickets); the idle limit has to do.
        return True
    connection.settimeout(0.0)
    try:
        connection.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        connection.settimeout(None)
    return False
