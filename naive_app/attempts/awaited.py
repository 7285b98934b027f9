"""The same work, awaited: another service builds the report, and this one only waits for it.

People who moved to `async` for this are right: waiting is what it is good at. This attempt is the
control: it shows that neither `async def` nor a long request stalls the other requests.
"""

from fastapi import APIRouter, BackgroundTasks, Response

from naive_app.attempts.frame.building import building_app
from naive_app.attempts.frame.elsewhere import ReportService, report_service
from reports.models import Job
from web.audit import audit
from web.documented import BUILT
from web.orders import ReportOrder

router = APIRouter()


@router.post("/reports", status_code=201, responses=BUILT)
async def create_report(
    order: ReportOrder,
    elsewhere: ReportService,
    background: BackgroundTasks,
    response: Response,
) -> Job:
    """Wait for the report and answer with it."""
    answer = await elsewhere.post("/reports", json=order.model_dump(mode="json"))
    job = Job.model_validate_json(answer.raise_for_status().content)
    background.add_task(audit, job.job_id, order)
    response.headers["Location"] = f"/reports/{job.job_id}"
    return job


app = building_app("Reports, built by another service", router, resources=report_service)
