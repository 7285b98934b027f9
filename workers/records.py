"""How a job is written down in Redis: one hash a job, the same for the API and the workers."""

from collections.abc import Mapping
from typing import cast

from redis import Redis

from reports.models import Job, JobStatus, Problem
from reports.spec import ReportResult, ReportSpec
from workers.queues import Queue

#: Channel on which the id of every finished job is published.
FINISHED_CHANNEL = "offloop:finished"

#: All jobs that are remembered, by the moment (Unix time, s) at which they were accepted.
INDEX_KEY = "jobs"

#: The jobs that have come to an end, by the moment (Unix time, s) at which they will be forgotten.
ENDED_KEY = "ended"

#: The callbacks that have to be delivered, by the moment (Unix time, s) at which they are due.
OUTBOX_KEY = "outbox"

#: The callbacks that were given up, by the moment (Unix time, s) at which they were. What was to be
#: delivered lives as long as a job's record; its field `failure` says why it was not.
GIVEN_UP_KEY = "outbox:given-up"

#: The jobs that are to be queued again, by the moment (Unix time, s) at which they are due.
DELAYED_KEY = "delayed"


class QueuedJob(Job):
    """A job that went through a queue."""

    queue: Queue


def record_key(job_id: str) -> str:
    """Return the key of a job's record."""
    return f"job:{job_id}"


def idempotency_key(key: str) -> str:
    """Return the key under which a client's idempotency key is kept."""
    return f"idempotency:{key}"


def finish_times_key(queue: Queue) -> str:
    """Return the key of the moments at which the latest jobs of a queue were finished."""
    return f"finished:{queue}"


def open_key(queue: Queue) -> str:
    """Return the key of the jobs of a queue that have not come to an end."""
    return f"open:{queue}"


def event_key(event_id: str) -> str:
    """Return the key of what is to be delivered as one event."""
    return f"event:{event_id}"


def job_from_record(job_id: str, record: Mapping[str, str]) -> QueuedJob:
    """Turn a record into the job it describes. Absent fields are facts not known yet."""
    result = record.get("result")
    problem = record.get("problem")
    return QueuedJob(
        job_id=job_id,
        queue=Queue(record["queue"]),
        status=JobStatus(record["status"]),
        attempt=int(record["attempt"]),
        progress=float(record["progress"]),
        accepted_at=record["accepted_at"],
        started_at=record.get("started_at"),
        finished_at=record.get("finished_at"),
        result=ReportResult.model_validate_json(result) if result else None,
        problem=Problem.model_validate_json(problem) if problem else None,
    )


def read_record(redis: Redis, job_id: str) -> dict[str, str]:
    """Return the record of a job, which is empty where there is none.

    Args:
        redis: A client of the records' database that decodes answers.
        job_id: Which job.
    """
    return cast("dict[str, str]", redis.hgetall(record_key(job_id)))


def change_record(redis: Redis, job_id: str, **fields: str) -> None:
    """Write fields of a job's record, whatever it says at the moment.

    Args:
        redis: A client of the records' database.
        job_id: Which job.
        fields: Names and values.
    """
    redis.hset(record_key(job_id), items=[part for field in fields.items() for part in field])


def spec_from_record(record: Mapping[str, str]) -> ReportSpec:
    """Return what the customer ordered."""
    return ReportSpec.model_validate_json(record["spec"])
