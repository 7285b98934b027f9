"""How long requests take, how many are being answered, and an id for each.

Two instrumentations are at hand: prometheus-fastapi-instrumentator (8.1) and starlette-exporter
(0.24). Both have label names of their own that cannot be changed to OpenTelemetry's, look for the
route a second time to count what is in flight, and build objects for each request that cost a
multiple of what is here. FastAPI's own metrics need OpenTelemetry's SDK, and FastAPI.
"""

from bisect import bisect_left
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from itertools import accumulate
from math import inf
from time import perf_counter
from typing import Any

from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from offloop.telemetry.request_ids import HEADER, begin_request
from offloop.telemetry.routes import route_template

# What ASGI says, in its own words: no framework is needed.
Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

#: Seconds; OpenTelemetry's for `http.server.request.duration`.
DURATION_BUCKETS_S = (
    *(0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25),
    *(0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0),
)

#: RFC 9110 and RFC 5789. Clients can send any other name, and each would be a time series.
_METHODS = frozenset(
    {"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"}
)

_OTHER = "_OTHER"

_CRASHED = 500

#: Messages with which an answer ends, if no more are announced.
_ENDS = frozenset({"http.response.body", "http.response.pathsend"})


class _Series:
    """The durations of requests with the same labels."""

    def __init__(self) -> None:
        # One for each bucket, and one for what is longer than all.
        self.counts = [0] * (len(DURATION_BUCKETS_S) + 1)
        self.sum_s = 0.0

    def buckets(self) -> list[tuple[str, float]]:
        """Return upper bounds and how many were no longer, as Prometheus has them."""
        bounds = map(floatToGoString, (*DURATION_BUCKETS_S, inf))
        return list(zip(bounds, accumulate(self.counts), strict=True))


class RequestMetrics(Collector):
    """The metrics of all requests of this process.

    Requests are reported from the event loop's thread, and metrics are collected in another. So
    nothing is locked, and nothing more is done for a request than to count it: prometheus-client's
    own histogram takes several times as long, and each request has microseconds to spare
    (`python -m benchmarks.telemetry`).
    """

    def __init__(self) -> None:
        self._series: dict[tuple[str, str, int], _Series] = {}
        self._active: dict[int, Scope] = {}

    def begin(self, scope: Scope) -> None:
        """A request has begun; which route it takes is not known yet."""
        self._active[id(scope)] = scope

    def end(self, scope: Scope, status: int, seconds: float) -> None:
        """A request was answered; only the first time counts.

        Args:
            scope: As it was given to `begin`.
            status: Of the answer; 0 if there was none.
            seconds: How long it took.
        """
        if self._active.pop(id(scope), None) is None:
            return
        method = scope["method"]
        key = (method if method in _METHODS else _OTHER, route_template(scope), status)
        try:
            series = self._series[key]
        except KeyError:
            series = self._series[key] = _Series()
        series.counts[bisect_left(DURATION_BUCKETS_S, seconds)] += 1
        series.sum_s += seconds

    def describe(self) -> Iterator[Metric]:
        """Name the metrics."""
        yield from (_durations(), _active())

    def collect(self) -> Iterator[Metric]:
        """Read the metrics."""
        # Copies are made in one go, while the event loop's thread adds to the originals.
        durations, numbers = _durations(), dict[tuple[str, str], int]()
        for (method, route, status), series in self._series.copy().items():
            labels = (method, route, str(status or ""))
            durations.add_metric(labels, series.buckets(), series.sum_s)
            # A route that is idle now is known to have no requests.
            numbers[method, route] = 0
        for scope in self._active.copy().values():
            method = scope["method"] if scope["method"] in _METHODS else _OTHER
            of = (method, route_template(scope))
            numbers[of] = numbers.get(of, 0) + 1
        active = _active()
        for of, number in numbers.items():
            active.add_metric(of, number)
        yield from (durations, active)


def _durations() -> HistogramMetricFamily:
    return HistogramMetricFamily(
        "http_server_request_duration_seconds",
        "From the start of a request, as the app sees it, to the end of its answer. What a blocked "
        "event loop kept waiting before is not in it.",
        labels=("http_request_method", "http_route", "http_response_status_code"),
    )


def _active() -> GaugeMetricFamily:
    return GaugeMetricFamily(
        "http_server_active_requests",
        "Requests that have begun and are not answered to the end.",
        labels=("http_request_method", "http_route"),
    )


#: Those of this process. They are served while `telemetry.running` is entered.
REQUESTS = RequestMetrics()


class RequestTelemetry:
    """ASGI middleware: measures each request, and gives it an id.

    The id is that of the header `X-Request-Id`, or a new one; the answer returns it, and
    `current_request_id` knows it. Both jobs are done here because both wrap the answer, and every
    wrapper is paid for by every request.

    Add it last, which makes it the outermost. A middleware further in that hands on a copy of the
    scope hides the route from it.
    """

    def __init__(self, app: ASGIApp, metrics: RequestMetrics = REQUESTS) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on a request, and look at the clock before and after."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        metrics = self._metrics
        request_id = begin_request(scope["headers"])
        metrics.begin(scope)
        status, began_s = 0, perf_counter()

        def observed_send(message: Message) -> Awaitable[None]:
            nonlocal status
            kind = message["type"]
            if kind == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (HEADER, request_id)]
            elif kind in _ENDS and not message.get("more_body", False):
                # What an app does afterwards, such as background tasks, keeps no client waiting.
                metrics.end(scope, status, perf_counter() - began_s)
            # No coroutine of its own, which would have to be made and driven for each message.
            return send(message)

        try:
            await self._app(scope, receive, observed_send)
        except Exception:
            # The handler of the exception answers 500, unless the answer has begun.
            status = status or _CRASHED
            raise
        finally:
            metrics.end(scope, status, perf_counter() - began_s)
