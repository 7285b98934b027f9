"""The routes that are the same in both apps: readiness, a job, and its file."""

from collections.abc import Awaitable, Callable
from typing import Annotated, NamedTuple

from fastapi import APIRouter, Depends, Request
from fastapi.responses import FileResponse

from reports.models import Job
from reports.storage import ReportFiles
from web.documented import FILE, Answers, problems
from web.files import report_file
from web.problems import report_not_found


async def _get_files(request: Request) -> ReportFiles:
    files: ReportFiles = request.app.state.files
    return files


#: The files of the reports, which each app keeps in `app.state.files`.
Files = Annotated[ReportFiles, Depends(_get_files)]


class Lookup(NamedTuple):
    """What an app knows of its jobs, as FastAPI dependencies.

    Attributes:
        model: The class of a job.
        ready: Raises where reports cannot be ordered now.
        job: Returns the job of the path's ``job_id``, or None.
        job_of_file: Returns the same job for a request of its file.
    """

    model: type[Job]
    ready: Callable[..., Awaitable[None]]
    job: Callable[..., Awaitable[Job | None]]
    job_of_file: Callable[..., Awaitable[Job | None]]


def job_routes(lookup: Lookup, answers: Answers | None = None) -> APIRouter:
    """Build the routes.

    Args:
        lookup: Finds jobs.
        answers: What any of the routes may be answered with, beside its own answers.
    """
    router = APIRouter(responses=answers or {})

    @router.get("/health/ready", dependencies=[Depends(lookup.ready)])
    async def ready() -> dict[str, str]:
        """Say that reports can be ordered."""
        return {"status": "ready"}

    @router.get("/reports/{job_id}", response_model=lookup.model, responses=problems(404))
    async def read_report(job_id: str, job: Annotated[Job | None, Depends(lookup.job)]) -> Job:
        """Answer with the job of a report."""
        if job is None:
            raise report_not_found(job_id)
        return job

    @router.get("/reports/{job_id}/file", response_class=FileResponse, responses=FILE)
    async def read_file(
        job_id: str, job: Annotated[Job | None, Depends(lookup.job_of_file)], files: Files
    ) -> FileResponse:
        """Send the file of a finished report."""
        if job is None:
            raise report_not_found(job_id)
        return report_file(files, job)

    return router
