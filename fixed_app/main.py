"""The fixed app: `uvicorn fixed_app.main:app`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from fixed_app import jobs, problems, reading, reports
from fixed_app.waiting import FinishedJobs
from reports.settings import ReportSettings
from reports.storage import ReportFiles
from web.app import create_app
from workers.settings import TierSettings
from workers.store import JobStore


@asynccontextmanager
async def resources(app: FastAPI) -> AsyncIterator[None]:
    """Open what the routes use while the app serves."""
    settings = ReportSettings()
    app.state.files = ReportFiles(settings.files_dir)
    async with JobStore(TierSettings()) as store, FinishedJobs(store) as finished:
        app.state.store = store
        app.state.finished = finished
        yield


app = create_app(
    "Reports, queued to a worker", resources, reports.router, reading.router, jobs.router
)
problems.install(app)
