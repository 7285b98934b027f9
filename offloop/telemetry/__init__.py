"""See what an ASGI service does, even while its event loop is blocked.

Two lines for any ASGI app, one in its lifespan and one around it:

    from contextlib import asynccontextmanager

    from fastapi import FastAPI

    from offloop import telemetry

    @asynccontextmanager
    async def lifespan(app):
        async with telemetry.running(metrics_port=9100):  # the first
            yield

    app = FastAPI(lifespan=lifespan)
    app.add_middleware(telemetry.RequestTelemetry)  # the second

Then `http://127.0.0.1:9100/metrics`, served by a thread of its own, has

- the lag of the event loop and what held it (`offloop_loop_*`); every stall is logged, too;
- how long requests take by route, and how many are being answered (`http_server_*`);
- how busy the thread pool of sync endpoints is (`offloop_threadpool_*`);
- the standard metrics of the process.

One process has one port: give several server processes as many, and each takes one that is free.
`offloop.telemetry.logs` makes structured logs of what all loggers of the process write, with the
id of the request in each line.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager

from prometheus_client import REGISTRY, CollectorRegistry

from offloop.telemetry import logs
from offloop.telemetry.exporter import Exporter, serve_metrics, serve_metrics_as_set
from offloop.telemetry.loop_monitor import LoopMonitor
from offloop.telemetry.request_ids import current_request_id
from offloop.telemetry.requests import REQUESTS, RequestMetrics, RequestTelemetry
from offloop.telemetry.settings import LOOPBACK, TelemetrySettings, WrongSettingError
from offloop.telemetry.threadpool import ThreadpoolMetrics

__all__ = [
    "Exporter",
    "LoopMonitor",
    "RequestMetrics",
    "RequestTelemetry",
    "TelemetrySettings",
    "ThreadpoolMetrics",
    "WrongSettingError",
    "current_request_id",
    "logs",
    "running",
    "serve_metrics",
    "serve_metrics_as_set",
]


@asynccontextmanager
async def running(
    *,
    metrics_port: int | Sequence[int] | None,
    metrics_host: str = LOOPBACK,
    registry: CollectorRegistry = REGISTRY,
) -> AsyncIterator[None]:
    """Monitor the running event loop and serve the metrics, until left.

    Args:
        metrics_port: Port for the metrics; None or 0 to serve none. Of several, the first that is
            free.
        metrics_host: Address to serve them on.
        registry: Where the metrics are.

    Raises:
        ValueError: It is running already, with the same registry.
    """
    with ExitStack() as undo:
        undo.enter_context(LoopMonitor(registry))
        for metrics in (REQUESTS, ThreadpoolMetrics()):
            registry.register(metrics)
            undo.callback(registry.unregister, metrics)
        exporter = serve_metrics(metrics_port, registry, host=metrics_host)
        try:
            yield
        finally:
            # Not in the loop: closing waits for the serving thread.
            await asyncio.to_thread(exporter.close)
