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
    OPEN_KEY,
    OUTBOX_KEY,
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
    #: As `number`, without those before the job was last revived and those that were handed back:
    #: what the limit on attempts is about.
    counted: int
    spec: ReportSpec
    queue: Queue
    #: What the customer calls the order.
    request_ref: str


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
        self._progress = self._redis.register_script(scripts.source("progress"))
        self._finish = self._redis.register_script(scripts.source("ended", "finish"))
        self._retry = self._redis.register_script(scripts.source("retry"))

    def claim(self, job_id: str, message_id: str) -> Attempt | None:
        """Start an attempt, or return None if nothing is left to do for this job.

        Args:
            job_id: Which job.
            message_id: The message that the slot holds, and will acknowledge when it is through.
        """
        flat: list[str] = self._claim(
            keys=[record_key(job_id)], args=[now().isoformat(), message_id]
        )
        if not flat:
            return None
        record = dict(zip(flat[::2], flat[1::2], strict=True))
        return Attempt(
            job_id=job_id,
            number=int(record["attempt"]),
            counted=int(record["attempt"]) - int(record.get("uncounted", 0)),
            spec=spec_from_record(record),
            queue=Queue(record["queue"]),
            request_ref=record["request_ref"],
        )

    def progress(self, attempt: Attempt, share: float) -> None:
        """Write down how far the attempt is, from 0 to 1.

        Raises:
            SupersededError: another attempt has the job now.
        """
        noted = self._progress(
            keys=[record_key(attempt.job_id)], args=[attempt.number, f"{share:.3f}"]
        )
        if not noted:
            raise SupersededError(attempt)

    def finish(self, attempt: Attempt, result: ReportResult) -> None:
        """Mark the job done with its result.

        Raises:
            SupersededError: another attempt has the job now.
        """
        self._end(attempt, JobStatus.DONE, progress="1", result=result.model_dump_json())

    def fail(self, attempt: Attempt, problem: Problem) -> None:
        """Mark the job failed, with the reason.

        Raises:
            SupersededError: another attempt has the job now.
        """
        self._end(attempt, JobStatus.FAILED, problem=problem.model_dump_json())

    def put_off(self, attempt: Attempt, seconds: float) -> None:
        """Queue the job again, but for later.

        Raises:
            SupersededError: another attempt has the job now.
        """
        self._queue_again(attempt, seconds, uncounted=0)

    def hand_back(self, attempt: Attempt) -> None:
        """Queue the job again, as if this attempt had not been.

        Raises:
            SupersededError: another attempt has the job now.
        """
        self._queue_again(attempt, 0, uncounted=1)

    def _queue_again(self, attempt: Attempt, seconds: float, *, uncounted: int) -> None:
        queued = self._retry(
            keys=[record_key(attempt.job_id), RETRIES_KEY],
            args=[attempt.number, time.time() + seconds, uncounted],
        )
        if not queued:
            raise SupersededError(attempt)

    def _end(self, attempt: Attempt, status: JobStatus, **fields: str) -> None:
        fields |= {"status": status.value, "finished_at": now().isoformat()}
        ended = self._finish(
            keys=[
                record_key(attempt.job_id),
                finish_times_key(attempt.queue),
                OPEN_KEY,
                OUTBOX_KEY,
            ],
            args=[
                attempt.number,
                FINISHED_CHANNEL,
                self._ttl_s,
                *(part for field in fields.items() for part in field),
            ],
        )
        if not ended:
            raise SupersededError(attempt)
