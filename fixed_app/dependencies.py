"""What the routes use; `fixed_app.main` opens it."""

from typing import Annotated

from fastapi import Depends, Request

from fixed_app.waiting import FinishedJobs
from workers.store import JobStore


async def get_store(request: Request) -> JobStore:
    """Return the record of all jobs."""
    store: JobStore = request.app.state.store
    return store


async def get_finished(request: Request) -> FinishedJobs:
    """Return what tells when a job is finished."""
    finished: FinishedJobs = request.app.state.finished
    return finished


Store = Annotated[JobStore, Depends(get_store)]
Finished = Annotated[FinishedJobs, Depends(get_finished)]
