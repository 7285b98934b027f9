"""The endpoint as a plain `def`, with a synchronous database: FastAPI gives it a thread.

People try it because it takes four letters away and because FastAPI's documentation says when to.
It has its threads (40, shared with everything else that is plain `def`) and the GIL in common with
`to_thread`.
"""

from uuid import uuid4

from fastapi import APIRouter, BackgroundTasks, Response

from naive_app.attempts.frame.building import SyncEngine, building_app, sync_engine
from naive_app.dependencies import Finished
from reports.build import price_and_publish
from reports.lines import select_lines
from reports.models import Job, now
from web.audit import audit
from web.documented import BUILT
from web.jobs import Files
from web.orders import ReportOrder

router = APIRouter()


@router.post("/reports", status_code=201, responses=BUILT)
def create_report(
    order: ReportOrder,
    engine: SyncEngine,
    finished: Finished,
    files: Files,
    background: BackgroundTasks,
    response: Response,
) -> Job:
    """Build the report and answer with it."""
    job_id = uuid4().hex
    accepted_at = now()
    with engine.connect() as connection:
        lines = connection.execute(select_lines(order)).all()
    published = price_and_publish([lines], order, files.path(job_id, order.format))
    job = finished.remember(job_id, accepted_at, published.result)
    background.add_task(audit, job_id, order)
    response.headers["Location"] = f"/reports/{job_id}"
    return job


app = building_app("Reports, built by a plain def", router, resources=sync_engine)
