"""Records of reports that are accepted before they are built, in the form of `FinishedReports`."""

from typing import Annotated

from fastapi import Depends

from naive_app.dependencies import Finished
from naive_app.finished import FinishedReports
from reports.models import Job, JobStatus, now
from reports.spec import ReportResult


class PromisedReports(FinishedReports):
    """Remembers how far each report is. The code that builds it has to say so."""

    def promise(self, job_id: str) -> Job:
        """Record a report that was accepted now."""
        return self._write(Job(job_id=job_id, status=JobStatus.QUEUED, accepted_at=now()))

    def start(self, job: Job) -> Job:
        """Record that the work on it begins now."""
        changes = {"status": JobStatus.RUNNING, "attempt": 1, "started_at": now()}
        return self._write(job.model_copy(update=changes))

    def finish(self, job: Job, result: ReportResult) -> Job:
        """Record that it is finished now."""
        changes = {
            "status": JobStatus.DONE,
            "progress": 1.0,
            "finished_at": now(),
            "result": result,
        }
        return self._write(job.model_copy(update=changes))


async def _get_promised(finished: Finished) -> PromisedReports:
    return PromisedReports(finished.folder)


Promised = Annotated[PromisedReports, Depends(_get_promised)]
