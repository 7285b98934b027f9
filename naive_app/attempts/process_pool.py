"""The work in a `ProcessPoolExecutor` of the API: another interpreter, another GIL.

People try it because it cures the stall with the standard library alone, and it does. What is
missing is a queue: nothing remembers an order, says no, or tries again, and once a process of the
pool is killed all further orders fail until the API is restarted.
"""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import asynccontextmanager
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated
from uuid import uuid4

from fastapi import APIRouter, BackgroundTasks, Depends, FastAPI, Request, Response
from sqlalchemy import Engine, create_engine

from naive_app.attempts.frame.building import building_app
from naive_app.dependencies import Finished
from reports.build import price_and_publish
from reports.dataset import ensure_dataset
from reports.lines import select_lines
from reports.models import Job, now
from reports.settings import ReportSettings
from reports.spec import ReportResult
from web.audit import audit
from web.documented import BUILT
from web.jobs import Files
from web.orders import ReportOrder

#: Processes of the pool, which build as many reports at a time as one slot of the job tier.
PROCESSES = 1

router = APIRouter()


@asynccontextmanager
async def pool(app: FastAPI) -> AsyncIterator[None]:
    """Have the processes ready, each with its database."""
    # Forked processes would inherit the server's threads and sockets.
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as executor:
        await asyncio.get_running_loop().run_in_executor(executor, warm_up)
        app.state.pool = executor
        yield


async def get_pool(request: Request) -> ProcessPoolExecutor:
    """Return the pool."""
    executor: ProcessPoolExecutor = request.app.state.pool
    return executor


@router.post("/reports", status_code=201, responses=BUILT)
async def create_report(
    order: ReportOrder,
    executor: Annotated[ProcessPoolExecutor, Depends(get_pool)],
    finished: Finished,
    files: Files,
    background: BackgroundTasks,
    response: Response,
) -> Job:
    """Have the report built by a process of the pool and answer with it."""
    job_id = uuid4().hex
    accepted_at = now()
    result = await asyncio.get_running_loop().run_in_executor(
        executor, build, order, files.path(job_id, order.format)
    )
    job = finished.remember(job_id, accepted_at, result)
    background.add_task(audit, job_id, order)
    response.headers["Location"] = f"/reports/{job_id}"
    return job


@cache
def database() -> Engine:
    """Open the database, once in each process."""
    return create_engine(ensure_dataset(ReportSettings()))


def warm_up() -> None:
    """Do what the first report would have to wait for."""
    database()


def build(order: ReportOrder, target: Path) -> ReportResult:
    """Build a report in a process of the pool."""
    with database().connect() as connection:
        lines = connection.execute(select_lines(order)).all()
    return price_and_publish([lines], order, target).result


app = building_app("Reports, built by a pool of processes", router, resources=pool)
