"""The frame of an attempt whose process, or a child of it, builds the reports."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, Request
from sqlalchemy import Engine, create_engine

from naive_app import jobs, main
from reports.dataset import ensure_dataset
from reports.settings import ReportSettings
from web.app import Lifespan, create_app


@asynccontextmanager
async def nothing_else(_: FastAPI) -> AsyncIterator[None]:
    """Open no more than the naive app does."""
    yield


@asynccontextmanager
async def sync_engine(app: FastAPI) -> AsyncIterator[None]:
    """Open the database for code that runs in threads."""
    app.state.sync_engine = create_engine(ensure_dataset(ReportSettings()))
    yield
    app.state.sync_engine.dispose()


async def _get_sync_engine(request: Request) -> Engine:
    engine: Engine = request.app.state.sync_engine
    return engine


SyncEngine = Annotated[Engine, Depends(_get_sync_engine)]


def building_app(title: str, *routers: APIRouter, resources: Lifespan = nothing_else) -> FastAPI:
    """Build the naive app with another `POST /reports`.

    Args:
        title: Of the app.
        routers: The route.
        resources: What it needs open beside what the naive app has.
    """

    @asynccontextmanager
    async def all_resources(app: FastAPI) -> AsyncIterator[None]:
        async with main.resources(app), resources(app):
            yield

    return create_app(title, all_resources, *routers, jobs.router)
