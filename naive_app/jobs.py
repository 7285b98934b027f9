"""How reports are found again that were built before."""

from sqlalchemy import text

from naive_app.dependencies import Engine, Finished
from reports.models import Job
from web.jobs import Lookup, job_routes


async def database_answers(engine: Engine) -> None:
    """Ask the database, without which no report can be built."""
    async with engine.connect() as connection:
        await connection.execute(text("select 1"))


async def find_job(job_id: str, finished: Finished) -> Job | None:
    """Return a report that was built before."""
    return finished.find(job_id)


router = job_routes(Lookup(Job, database_answers, find_job, find_job))
