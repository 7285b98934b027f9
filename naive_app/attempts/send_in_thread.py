"""`actor.send()` in a thread, because it blocks.

People try it because it is the usual advice for blocking calls, and it frees the loop. An order is
still recorded and sent in two steps, and a crash between them loses the message. While the broker
does not answer, each order occupies one thread.
"""

import asyncio
from uuid import uuid4

from fastapi import APIRouter, BackgroundTasks, Response

from naive_app.attempts.frame.queueing import hand_over, queueing_app
from reports.models import JobStatus, now
from web.audit import audit
from web.documented import ACCEPTED
from web.orders import ReportOrder
from workers.queues import route
from workers.records import QueuedJob

router = APIRouter()


@router.post("/reports", status_code=202, responses=ACCEPTED)
async def create_report(
    order: ReportOrder, background: BackgroundTasks, response: Response
) -> QueuedJob:
    """Record the report, send it to a worker, and say where it will be."""
    job = QueuedJob(
        job_id=uuid4().hex, queue=route(order), status=JobStatus.QUEUED, accepted_at=now()
    )
    await asyncio.to_thread(hand_over, job, order.spec)
    background.add_task(audit, job.job_id, order)
    response.headers["Location"] = f"/reports/{job.job_id}"
    response.headers["Retry-After"] = "1"
    return job


app = queueing_app("Reports, sent to a worker from a thread", router)
