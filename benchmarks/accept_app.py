"""The fixed app with two more endpoints, to see what accepting a job durably costs.

`POST /noop` does everything that `POST /reports` does, except to accept anything. `POST /send`
hands the job over as Dramatiq's documentation does: `actor.send()`, here in an `async def`.
Middleware, model, response class and audit line are the same for all three.
"""

from uuid import uuid4

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from fastapi import BackgroundTasks, Response

from fixed_app.main import app
from reports.models import JobStatus, now
from web.audit import audit
from web.orders import ReportOrder
from workers.queues import BUILD_REPORT, Queue, route
from workers.records import QueuedJob
from workers.settings import TierSettings

_broker = RedisBroker(  # type: ignore[no-untyped-call]
    url=str(TierSettings().redis_url), middleware=[]
)


@dramatiq.actor(broker=_broker, queue_name=Queue.SHORT, actor_name=BUILD_REPORT)
def build_report(job_id: str) -> None:
    """Stand for the actor of the tier: it is sent messages, and never run."""


def _accepted(
    job_id: str, order: ReportOrder, background: BackgroundTasks, response: Response
) -> QueuedJob:
    job = QueuedJob(job_id=job_id, queue=route(order), status=JobStatus.QUEUED, accepted_at=now())
    background.add_task(audit, job_id, order)
    response.headers["Location"] = f"/reports/{job_id}"
    response.headers["Retry-After"] = "1"
    return job


@app.post("/noop", status_code=202)
async def noop(order: ReportOrder, background: BackgroundTasks, response: Response) -> QueuedJob:
    """Promise a report and do nothing about it."""
    return _accepted(uuid4().hex, order, background, response)


@app.post("/send", status_code=202)
async def send(order: ReportOrder, background: BackgroundTasks, response: Response) -> QueuedJob:
    """Hand the job over with a blocking call, and without a record."""
    job_id = uuid4().hex
    build_report.send(job_id)
    return _accepted(job_id, order, background, response)
