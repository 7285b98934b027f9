"""See what an ASGI service does, even while its event loop is blocked.

Two lines in the lifespan of any ASGI app:

    @asynccontextmanager
    async def lifespan(app):
        async with telemetry.running(metrics_port=9100):
            yield

Then `http://127.0.0.1:9100/metrics` has the lag of the event loop (`offloop_loop_*`) and the
standard metrics of the process, and every stall is logged with the function that caused it. One
process has one port: give each of several server processes its own.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from prometheus_client import REGISTRY, CollectorRegistry

from offloop.telemetry.exporter import Exporter, serve_metrics
from offloop.telemetry.loop_monitor import LoopMonitor

__all__ = ["Exporter", "LoopMonitor", "running", "serve_metrics"]


@asynccontextmanager
async def running(
    *, metrics_port: int | None, registry: CollectorRegistry = REGISTRY
) -> AsyncIterator[None]:
    """Monitor the running event loop and serve the metrics, until left.

    Args:
        metrics_port: Loopback port for the metrics; None or 0 to serve none. In the lab's own apps
            it is the setting `OFFLOOP_METRICS_PORT`.
        registry: Where the metrics are.
    """
    with LoopMonitor(registry):
        exporter = serve_metrics(metrics_port, registry)
        try:
            yield
        finally:
            # Not in the loop: closing waits for the serving thread.
            await asyncio.to_thread(exporter.close)
