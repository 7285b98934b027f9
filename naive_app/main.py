"""The naive app: `uvicorn naive_app.main:app`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from sqlalchemy.ext.asyncio import create_async_engine

from naive_app import jobs, reports
from naive_app.finished import FinishedReports
from reports.dataset import ensure_dataset
from reports.lines import async_url
from reports.settings import ReportSettings
from reports.storage import ReportFiles
from web.app import create_app


@asynccontextmanager
async def resources(app: FastAPI) -> AsyncIterator[None]:
    """Open what the routes use while the app serves."""
    settings = ReportSettings()
    settings.files_dir.mkdir(parents=True, exist_ok=True)
    app.state.files = ReportFiles(settings.files_dir)
    app.state.finished = FinishedReports(settings.files_dir)
    app.state.engine = create_async_engine(async_url(ensure_dataset(settings)))
    yield
    await app.state.engine.dispose()


app = create_app("Reports, built in the request", resources, reports.router, jobs.router)
