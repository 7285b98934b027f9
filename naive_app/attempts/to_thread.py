"""The work in a thread: `asyncio.to_thread`, as every guide says.

People try it because it is one line, and because the loop really is free then. The interpreter is
not: the thread and the loop take turns at the GIL.
"""

import asyncio
from uuid import uuid4

from fastapi import APIRouter, BackgroundTasks, Response

from naive_app.attempts.frame.building import building_app
from naive_app.dependencies import Engine, Finished
from reports.build import price_and_publish
from reports.lines import select_lines
from reports.models import Job, now
from web.audit import audit
from web.documented import BUILT
from web.jobs import Files
from web.orders import ReportOrder

router = APIRouter()


@router.post("/reports", status_code=201, responses=BUILT)
async def create_report(
    order: ReportOrder,
    engine: Engine,
    finished: Finished,
    files: Files,
    background: BackgroundTasks,
    response: Response,
) -> Job:
    """Build the report in a thread and answer with it."""
    job_id = uuid4().hex
    accepted_at = now()
    async with engine.connect() as connection:
        lines = (await connection.execute(select_lines(order))).all()
    published = await asyncio.to_thread(
        price_and_publish, [lines], order, files.path(job_id, order.format)
    )
    job = finished.remember(job_id, accepted_at, published.result)
    background.add_task(audit, job_id, order)
    response.headers["Location"] = f"/reports/{job_id}"
    return job


app = building_app("Reports, built in a thread", router)
