"""The work in chunks, with `await asyncio.sleep(0)` after each, to give other tasks a turn.

People try it because it needs no thread, no process and no queue. At each turn of the loop, other
requests wait for one chunk instead of one report. The work has to be rewritten as a coroutine.
"""

import asyncio
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from uuid import uuid4

from fastapi import APIRouter, BackgroundTasks, Response

from naive_app.attempts.frame.building import building_app
from naive_app.dependencies import Engine, Finished
from reports.build import CHUNK_LINES
from reports.files import MeasuredFile, report_writer
from reports.lines import select_lines
from reports.models import Job, now
from reports.pricing import PricingSummary
from reports.publish import published
from reports.rows import LineRow
from reports.spec import ReportResult
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
    """Build the report in turns with other tasks and answer with it."""
    job_id = uuid4().hex
    accepted_at = now()
    async with engine.connect() as connection:
        lines = (await connection.execute(select_lines(order))).all()
    result = await price_in_turns(lines, order, files.path(job_id, order.format))
    job = finished.remember(job_id, accepted_at, result)
    background.add_task(audit, job_id, order)
    response.headers["Location"] = f"/reports/{job_id}"
    return job


async def price_in_turns(
    lines: Sequence[LineRow], order: ReportOrder, target: Path
) -> ReportResult:
    """Do as `price_and_publish` does, but give other tasks a turn after each chunk."""
    pricing = PricingSummary()
    with published(target) as part:
        file = MeasuredFile(part)
        with closing(report_writer(order.format, file)) as writer:
            for first in range(0, len(lines), CHUNK_LINES):
                writer.write(pricing.price(lines[first : first + CHUNK_LINES]))
                await asyncio.sleep(0)
            writer.finish()
    return ReportResult(
        rows=len(lines), bytes=file.size, sha256=file.sha256, summary=pricing.rows()
    )


app = building_app("Reports, built in chunks", router)
