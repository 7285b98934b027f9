"""How far back a maximum looks, as the reader of the metrics chooses it.

One fixed window does not suit every reader: one of 15 s hides stalls from a Prometheus that scrapes
every 60 s, and shows a test of two seconds what happened before it.
"""

from collections.abc import Iterable
from contextlib import suppress
from contextvars import ContextVar
from http import HTTPStatus
from urllib.parse import parse_qs
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

#: Seconds: two scrapes at Prometheus's own default interval of 60 s.
LONGEST_WINDOW_S = 120.0

_window_s: ContextVar[float | None] = ContextVar("window_s", default=None)


def asked_window_s() -> float | None:
    """Return the window that the reader being answered asked for, in seconds; None for none."""
    return _window_s.get()


def windowed(app: WSGIApplication) -> WSGIApplication:
    """Let readers choose the window, as in `GET /metrics?window=2.5`.

    Args:
        app: Serves the metrics, and reads them before it returns.
    """

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        query = parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True)
        try:
            window_s = _parse(query["window"]) if "window" in query else None
        except ValueError as error:
            status = HTTPStatus.BAD_REQUEST
            start_response(
                f"{status.value} {status.phrase}", [("Content-Type", "text/plain; charset=utf-8")]
            )
            return [f"{error}\n".encode()]
        token = _window_s.set(window_s)
        try:
            return app(environ, start_response)
        finally:
            _window_s.reset(token)

    return answer


def _parse(values: list[str]) -> float:
    with suppress(ValueError):
        (window_s,) = map(float, values)
        if 0 < window_s <= LONGEST_WINDOW_S:  # false for nan
            return window_s
    raise ValueError(
        f"The window is {' and '.join(map(repr, values))}; it must be one number of seconds above "
        f"0 and up to {LONGEST_WINDOW_S:g}, such as 2.5."
    )
