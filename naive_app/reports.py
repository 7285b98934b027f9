"""The report endpoint that does the work in the request."""

from uuid import uuid4

from fastapi import APIRouter, BackgroundTasks, Response
from fastapi.responses import FileResponse
from sqlalchemy import text

from naive_app.dependencies import Engine, Files, Finished
from reports.build import price_and_publish
from reports.lines import select_lines
from reports.models import Job, now
from web.audit import audit
from web.documented import BUILT, FILE, problems
from web.files import report_file
from web.orders import ReportOrder
from web.problems import report_not_found

router = APIRouter()


@router.get("/health/ready")
async def ready(engine: Engine) -> dict[str, str]:
    """Say that reports can be ordered: the database answers."""
    async with engine.connect() as connection:
        await connection.execute(text("select 1"))
    return {"status": "ready"}


@router.post("/reports", status_code=201, responses=BUILT)
async def create_report(
    order: ReportOrder,
    engine: Engine,
    finished: Finished,
    files: Files,
    background: BackgroundTasks,
    response: Response,
) -> Job:
    """Build the report and answer with it."""
    job_id = uuid4().hex
    accepted_at = now()
    async with engine.connect() as connection:
        lines = (await connection.execute(select_lines(order))).all()
    published = price_and_publish([lines], order, files.path(job_id, order.format))
    job = finished.remember(job_id, accepted_at, published.result)
    background.add_task(audit, job_id, order)
    response.headers["Location"] = f"/reports/{job_id}"
    return job


@router.get("/reports/{job_id}", responses=problems(404))
async def read_report(job_id: str, finished: Finished) -> Job:
    """Answer with a report that was built before."""
    job = finished.find(job_id)
    if job is None:
        raise report_not_found(job_id)
    return job


@router.get("/reports/{job_id}/file", response_class=FileResponse, responses=FILE)
async def read_file(job_id: str, finished: Finished, files: Files) -> FileResponse:
    """Send the file of a report that was built before."""
    job = finished.find(job_id)
    if job is None:
        raise report_not_found(job_id)
    return report_file(files, job)
