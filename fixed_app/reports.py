"""The report endpoint that hands the work to a worker."""

from uuid import uuid4

from fastapi import APIRouter, BackgroundTasks, Response
from fastapi.responses import FileResponse

from fixed_app.callbacks import allowed_callback
from fixed_app.dependencies import Files, Finished, Store
from fixed_app.idempotency import IdempotencyKey
from fixed_app.waiting import PreferredWait
from web.audit import audit
from web.documented import ACCEPTED, FILE, problems
from web.files import report_file
from web.orders import ReportOrder
from web.problems import report_not_found
from workers.records import QueuedJob

router = APIRouter(responses=problems(503))


@router.get("/health/ready")
async def ready(store: Store) -> dict[str, str]:
    """Say that reports can be ordered: the broker answers."""
    await store.ping()
    return {"status": "ready"}


@router.post("/reports", status_code=202, responses=ACCEPTED)
async def create_report(
    order: ReportOrder,
    store: Store,
    key: IdempotencyKey,
    background: BackgroundTasks,
    response: Response,
) -> QueuedJob:
    """Accept the report, queue it, and say where it will be."""
    callback_url = allowed_callback(order, store.settings)
    job = await store.accept(uuid4().hex, order.spec, key, callback_url)
    background.add_task(audit, job.job_id, order)
    response.headers["Location"] = f"/reports/{job.job_id}"
    response.headers["Retry-After"] = "1"
    return job


@router.get("/reports/{job_id}", responses=problems(404))
async def read_report(job_id: str, finished: Finished, wait_s: PreferredWait) -> QueuedJob:
    """Answer with the job, at once or as soon as it is finished (`Prefer: wait=N`)."""
    job = await finished.wait(job_id, wait_s)
    if job is None:
        raise report_not_found(job_id)
    return job


@router.get("/reports/{job_id}/file", response_class=FileResponse, responses=FILE)
async def read_file(job_id: str, store: Store, files: Files) -> FileResponse:
    """Send the file of a finished job."""
    job = await store.find(job_id)
    if job is None:
        raise report_not_found(job_id)
    return report_file(files, job)
