"""The report endpoint that hands the work to a worker."""

from uuid import uuid4

from fastapi import APIRouter, BackgroundTasks, Response

from fixed_app.dependencies import Store
from fixed_app.orders import Order
from web.audit import audit
from web.documented import ACCEPTED, problems
from workers.records import QueuedJob

router = APIRouter(responses=problems(503))


@router.post("/reports", status_code=202, responses=ACCEPTED)
async def create_report(
    order: Order,
    store: Store,
    background: BackgroundTasks,
    response: Response,
) -> QueuedJob:
    """Accept the report, queue it, and say where it will be."""
    job = await store.enqueue(uuid4().hex, *order)
    background.add_task(audit, job.job_id, order.spec)
    response.headers["Location"] = f"/reports/{job.job_id}"
    response.headers["Retry-After"] = "1"
    return job
