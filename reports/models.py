"""What a customer sees of a report that was ordered: the same shape in both apps."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, Field

from reports.spec import ReportResult


class JobStatus(StrEnum):
    """The states of a job; the last three are final."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        """Whether a job stays in this state, unless a client or an operator orders a retry."""
        return self in {JobStatus.DONE, JobStatus.FAILED, JobStatus.CANCELLED}


class Problem(BaseModel):
    """Problem details of RFC 9457: why a request or a job came to nothing.

    ``type`` identifies the kind of problem and stays the same from one occurrence to the next.
    ``errors`` is an extension member: one entry for each part of the input that was refused.
    """

    type: str
    title: str
    status: int
    detail: str
    errors: list[dict[str, Any]] = Field(default_factory=list)


class Job(BaseModel):
    """One ordered report. Times are UTC; ``progress`` runs from 0 to 1."""

    job_id: str
    status: JobStatus
    attempt: int = 0
    progress: float = 0.0
    accepted_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    result: ReportResult | None = None
    problem: Problem | None = None


def now() -> datetime:
    """Return the current moment in UTC; every time stamp of a job comes from here."""
    return datetime.now(UTC)
