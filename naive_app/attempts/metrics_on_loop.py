"""The reports as they were, and the metrics that most tutorials show: `GET /metrics` in the app.

People write it because it is ten lines, needs no second port, and is right whenever they look. It
is good at showing a loop that is always a little late.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import APIRouter, FastAPI, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest

from naive_app import reports
from naive_app.attempts.frame.building import building_app

#: Seconds between two measurements of the lag.
_INTERVAL_S = 0.01

registry = CollectorRegistry()
event_loop_lag = Gauge(
    "event_loop_lag_seconds", "How late the event loop runs what is due.", registry=registry
)

router = APIRouter()


@router.get("/metrics", include_in_schema=False)
async def metrics() -> Response:
    """Answer with everything that Prometheus wants to know."""
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)


async def watch_the_loop() -> None:
    """Measure the lag of the event loop, again and again."""
    loop = asyncio.get_running_loop()
    while True:
        begin = loop.time()
        await asyncio.sleep(_INTERVAL_S)
        event_loop_lag.set(loop.time() - begin - _INTERVAL_S)


@asynccontextmanager
async def monitoring(_: FastAPI) -> AsyncIterator[None]:
    """Watch the loop while the app serves."""
    watching = asyncio.create_task(watch_the_loop())
    yield
    watching.cancel()


app = building_app(
    "Reports, built in the request, with metrics", router, reports.router, resources=monitoring
)
