"""A `202` at once, and the work in a background task that is an `async def`.

People try it because it comes with FastAPI, looks like a queue, and the code stays as it was. It
stalls the loop all the same: the task runs on the loop of the server. The order waits in the memory
of one process and is lost with it, and the client is not told of a failure.
"""

from uuid import uuid4

from fastapi import APIRouter, BackgroundTasks, Response
from sqlalchemy.ext.asyncio import AsyncEngine

from naive_app.attempts.frame.building import building_app
from naive_app.attempts.frame.promised import Promised, PromisedReports
from naive_app.dependencies import Engine
from reports.build import price_and_publish
from reports.lines import select_lines
from reports.models import Job
from reports.storage import ReportFiles
from web.audit import audit
from web.documented import ACCEPTED
from web.jobs import Files
from web.orders import ReportOrder

router = APIRouter()


@router.post("/reports", status_code=202, responses=ACCEPTED)
async def create_report(
    order: ReportOrder,
    engine: Engine,
    promised: Promised,
    files: Files,
    background: BackgroundTasks,
    response: Response,
) -> Job:
    """Promise the report, and build it when the answer is out."""
    job = promised.promise(uuid4().hex)
    background.add_task(audit, job.job_id, order)
    background.add_task(build, job, order, engine, promised, files)
    response.headers["Location"] = f"/reports/{job.job_id}"
    response.headers["Retry-After"] = "1"
    return job


async def build(
    job: Job,
    order: ReportOrder,
    engine: AsyncEngine,
    promised: PromisedReports,
    files: ReportFiles,
) -> None:
    """Build a report that was promised."""
    job = promised.start(job)
    async with engine.connect() as connection:
        lines = (await connection.execute(select_lines(order))).all()
    published = price_and_publish([lines], order, files.path(job.job_id, order.format))
    promised.finish(job, published.result)


app = building_app("Reports, built by a background task", router)
