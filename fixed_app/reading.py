"""How jobs are found while they wait, run, and afterwards."""

from fixed_app.dependencies import Finished, Store
from fixed_app.waiting import PreferredWait
from web.documented import problems
from web.jobs import Lookup, job_routes
from workers.records import QueuedJob


async def broker_answers(store: Store) -> None:
    """Ask the broker, without which no report can be accepted."""
    await store.ping()


async def wait_for_job(job_id: str, finished: Finished, wait_s: PreferredWait) -> QueuedJob | None:
    """Return the job, at once or as soon as it is finished (`Prefer: wait=N`)."""
    return await finished.wait(job_id, wait_s)


async def find_job(job_id: str, store: Store) -> QueuedJob | None:
    """Return the job as it is."""
    return await store.find(job_id)


router = job_routes(Lookup(QueuedJob, broker_answers, wait_for_job, find_job), problems(503))
