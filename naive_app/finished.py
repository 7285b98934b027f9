"""The finished reports of the naive app: a small JSON beside each file.

They survive a restart and are seen by every server process, which a dictionary would not.
"""

from datetime import datetime
from pathlib import Path

from reports.models import Job, JobStatus, now
from reports.spec import ReportResult
from reports.storage import is_job_id


class FinishedReports:
    """Remembers reports in the folder that holds their files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def remember(self, job_id: str, accepted_at: datetime, result: ReportResult) -> Job:
        """Write down a report that is finished now; readers see all of it or nothing."""
        return self._write(
            Job(
                job_id=job_id,
                status=JobStatus.DONE,
                attempt=1,
                progress=1,
                accepted_at=accepted_at,
                started_at=accepted_at,
                finished_at=now(),
                result=result,
            )
        )

    def find(self, job_id: str) -> Job | None:
        """Return a report built earlier, by whichever process, or None."""
        if not is_job_id(job_id):
            return None
        try:
            return Job.model_validate_json(self._path(job_id).read_bytes())
        except FileNotFoundError:
            return None

    def _write(self, job: Job) -> Job:
        target = self._path(job.job_id)
        partial = target.with_suffix(".partial")
        partial.write_text(job.model_dump_json())
        partial.replace(target)
        return job

    def _path(self, job_id: str) -> Path:
        return self.folder / f"{job_id}.json"
