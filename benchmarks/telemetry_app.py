"""The frame of both apps with nothing in it, with telemetry and without."""

import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from types import SimpleNamespace

from fastapi import APIRouter, FastAPI

import web.app
from offloop import telemetry

_routes = APIRouter()


@_routes.get("/health/ready")
async def ready() -> dict[str, str]:
    """Say that requests are served."""
    return {"status": "ready"}


@_routes.get("/block")
async def block(seconds: float) -> float:
    """Hold the event loop, and the interpreter for as long as it is let."""
    end = time.monotonic() + seconds
    turns = 0.0
    while time.monotonic() < end:
        turns += 1
    return turns


@asynccontextmanager
async def _nothing(_: FastAPI) -> AsyncIterator[None]:
    yield


def create_with() -> FastAPI:
    """The frame as it is."""
    return web.app.create_app("With telemetry", _nothing, _routes)


def create_without() -> FastAPI:
    """The frame without the line in its lifespan, and without the middleware."""

    def not_running(**_: object) -> AbstractAsyncContextManager[None]:
        return nullcontext()

    # For good: this process serves nothing else.
    without = SimpleNamespace(**{**vars(telemetry), "running": not_running})
    vars(web.app)["telemetry"] = without
    app = web.app.create_app("Without telemetry", _nothing, _routes)
    app.user_middleware = [
        each for each in app.user_middleware if str(each.cls) != str(telemetry.RequestTelemetry)
    ]
    return app
