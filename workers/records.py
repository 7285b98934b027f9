"""How a job is written down in Redis: one hash a job, the same for the API and the workers."""

from collections.abc import Mapping

from reports.models import Job, JobStatus, Problem
from reports.spec import ReportResult, ReportSpec

#: Channel on which the id of every finished job is published.
FINISHED_CHANNEL = "offloop:finished"

#: All jobs that are remembered, by the moment (Unix time, s) at which they were accepted.
INDEX_KEY = "jobs"

#: The jobs that wait for another attempt, by the moment (Unix time, s) at which they are due.
RETRIES_KEY = "retries"


def record_key(job_id: str) -> str:
    """Return the key of a job's record."""
    return f"job:{job_id}"


def idempotency_key(key: str) -> str:
    """Return the key under which a client's idempotency key is kept."""
    return f"idempotency:{key}"


def finish_times_key(queue: str) -> str:
    """Return the key of the moments at which the latest jobs of a queue were finished."""
    return f"finished:{queue}"


def job_from_record(job_id: str, record: Mapping[str, str]) -> Job:
    """Turn a record into the job it describes. Absent fields are facts not known yet."""
    result = record.get("result")
    problem = record.get("problem")
    return Job(
        job_id=job_id,
        status=JobStatus(record["status"]),
        attempt=int(record["attempt"]),
        progress=float(record["progress"]),
        accepted_at=record["accepted_at"],
        started_at=record.get("started_at"),
        finished_at=record.get("finished_at"),
        result=ReportResult.model_validate_json(result) if result else None,
        problem=Problem.model_validate_json(problem) if problem else None,
    )


def spec_from_record(record: Mapping[str, str]) -> ReportSpec:
    """Return what the customer ordered."""
    return ReportSpec.model_validate_json(record["spec"])
