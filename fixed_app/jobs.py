"""What only an app with a job tier has: jobs can be listed, cancelled and tried again."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel

from fixed_app.dependencies import Store
from web.documented import problems
from web.problems import report_not_found
from workers.records import QueuedJob

router = APIRouter(responses=problems(503))

#: Jobs on a page at most.
MAX_LIMIT = 100


class JobPage(BaseModel):
    """A page of jobs, newest first; ``next`` is the path of the following one."""

    jobs: list[QueuedJob]
    next: str | None


@router.get("/reports", responses=problems(404, 422))
async def list_reports(
    store: Store,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = 20,
    cursor: Annotated[str | None, Query(pattern="^[0-9a-f]{32}$")] = None,
) -> JobPage:
    """List jobs, newest first."""
    page = await store.page(limit, cursor)
    following = f"/reports?limit={limit}&cursor={page.next}" if page.next else None
    return JobPage(jobs=page.jobs, next=following)


@router.delete("/reports/{job_id}", responses=problems(404, 409))
async def cancel_report(job_id: str, store: Store) -> QueuedJob:
    """Cancel a queued job."""
    job = await store.cancel(job_id)
    if job is None:
        raise report_not_found(job_id)
    return job


@router.post("/reports/{job_id}/retry", status_code=202, responses=problems(404, 409))
async def retry_report(job_id: str, store: Store) -> QueuedJob:
    """Give a job that failed or was cancelled new attempts."""
    job = await store.revive(job_id)
    if job is None:
        raise report_not_found(job_id)
    return job
