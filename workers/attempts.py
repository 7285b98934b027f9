"""The job store as a worker sees it: claim a job, report progress, finish it."""

import time
from dataclasses import dataclass

from redis import Redis

from reports.models import JobStatus, Problem, now
from reports.spec import ReportResult, ReportSpec
from workers import scripts
from workers.queues import Queue
from workers.records import (
    FINISHED_CHANNEL,
    RETRIES_KEY,
    finish_times_key,
    record_key,
    spec_from_record,
)
from workers.settings import TierSettings


@dataclass(frozen=True)
class Attempt:
    """One try at a job; ``number`` counts from 1 and is the fencing token."""

    job_id: str
    number: int
    #: As `number`, but from when the job was last revived: what the limit on attempts is about.
    since_revival: int
    spec: ReportSpec
    accepted_at: str


class SupersededError(Exception):
    """Another attempt has claimed the job since: this one must leave no trace."""

    def __init__(self, attempt: Attempt) -> None:
        super().__init__(
            f"job {attempt.job_id}: attempt {attempt.number} is not the latest one any more"
        )


class AttemptStore:
    """Synchronous access to the jobs, for worker processes."""

    def __init__(self, settings: TierSettings) -> None:
        self._ttl_s = settings.record_ttl_s
        self._redis = Redis.from_url(settings.records_url, decode_responses=True)
        self._claim = self._redis.register_script(scripts.source("claim"))
        self._update = self._redis.register_script(scripts.source("update"))
        self._retry = self._redis.register_script(scripts.source("retry"))

    def claim(self, job_id: str) -> Attempt | None:
        """Start an attempt, or return None if nothing is left to do for this job."""
        flat: list[str] = self._claim(keys=[record_key(job_id)], args=[now().isoformat()])
        if not flat:
            return None
        record = dict(zip(flat[::2], flat[1::2], strict=True))
        return Attempt(
            job_id=job_id,
            number=int(record["attempt"]),
            since_revival=int(record["attempt"]) - int(record.get("revived_at_attempt", 0)),
            spec=spec_from_record(record),
            accepted_at=record["accepted_at"],
        )

    def progress(self, attempt: Attempt, share: float) -> None:
        """Write down how far the attempt is, from 0 to 1.

        Raises:
            SupersededError: another attempt has the job now.
        """
        self._change(attempt, "", {"progress": f"{share:.3f}"})

    def finish(self, attempt: Attempt, result: ReportResult) -> None:
        """Mark the job done with its result.

        Raises:
            SupersededError: another attempt has the job now.
        """
        outcome = {
            "status": JobStatus.DONE.value,
            "progress": "1",
            "result": result.model_dump_json(),
        }
        self._change(attempt, FINISHED_CHANNEL, outcome | {"finished_at": now().isoformat()})

    def fail(self, attempt: Attempt, problem: Problem) -> None:
        """Mark the job failed, with the reason.

        Raises:
            SupersededError: another attempt has the job now.
        """
        outcome = {"status": JobStatus.FAILED.value, "problem": problem.model_dump_json()}
        self._change(attempt, FINISHED_CHANNEL, outcome | {"finished_at": now().isoformat()})

    def put_off(self, attempt: Attempt, seconds: float) -> None:
        """Queue the job again, but for later.

        Raises:
            SupersededError: another attempt has the job now.
        """
        put_off = self._retry(
            keys=[record_key(attempt.job_id), RETRIES_KEY],
            args=[attempt.number, time.time() + seconds],
        )
        if not put_off:
            raise SupersededError(attempt)

    def _change(self, attempt: Attempt, channel: str, fields: dict[str, str]) -> None:
        changed = self._update(
            keys=[record_key(attempt.job_id), finish_times_key(Queue.REPORTS)],
            args=[
                attempt.number,
                channel,
                self._ttl_s,
                *(part for field in fields.items() for part in field),
            ],
        )
        if not changed:
            raise SupersededError(attempt)
