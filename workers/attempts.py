"""The job store as a worker sees it: claim a job, report progress, finish it."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from reports.models import JobStatus, Problem, now
from reports.spec import ReportResult, ReportSpec
from workers import scripts
from workers.job_metrics import Outcome, note_outcome
from workers.queues import Queue, held_key
from workers.records import (
    DELAYED_KEY,
    ENDED_KEY,
    FINISHED_CHANNEL,
    OUTBOX_KEY,
    finish_times_key,
    record_key,
    spec_from_record,
)
from workers.settings import TierSettings


@dataclass(frozen=True)
class Delivery:
    """A message as a slot holds it.

    Attributes:
        message_id: Names the message.
        slot: The name under which the slot has fetched it.
    """

    message_id: str
    slot: str


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
    #: The HTTP request that ordered the job; None if it had no id.
    request_id: str | None
    #: A moment (Unix time, s) before the attempt began, and after all earlier ones had begun.
    claimed_s: float


class SupersededError(Exception):
    """The job is another attempt's by now, or nobody's: this one must leave no trace."""

    def __init__(self, attempt: Attempt) -> None:
        super().__init__(f"job {attempt.job_id}: attempt {attempt.number} has it no longer")


def attempt_from_record(job_id: str, record: Mapping[str, str]) -> Attempt:
    """Return the attempt that a record describes, as it was written when the attempt began."""
    return Attempt(
        job_id=job_id,
        number=int(record["attempt"]),
        counted=int(record["attempt"]) - int(record.get("uncounted", 0)),
        spec=spec_from_record(record),
        queue=Queue(record["queue"]),
        request_ref=record["request_ref"],
        request_id=record.get("request_id"),
        claimed_s=datetime.fromisoformat(record["started_at"]).timestamp(),
    )


class AttemptStore:
    """Synchronous access to the jobs, for worker processes."""

    def __init__(self, settings: TierSettings) -> None:
        self._ttl_s = settings.record_ttl_s
        # No script may be repeated behind our back: one that timed out may have run.
        self._redis = Redis.from_url(
            settings.records_url, decode_responses=True, retry=Retry(NoBackoff(), retries=0)
        )
        self._databases = (settings.broker_db, settings.records_db)
        self._claim = self._redis.register_script(scripts.source("claim"))
        self._change = self._redis.register_script(scripts.source("change"))
        self._finish = self._redis.register_script(scripts.source("ended", "finish"))
        self._delay = self._redis.register_script(scripts.source("delay"))

    def claim(self, job_id: str, delivery: Delivery) -> Attempt | None:
        """Start an attempt, or return None if there is nothing to do: not for us, or for nobody."""
        flat: list[str] = self._claim(
            keys=[record_key(job_id), DELAYED_KEY],
            args=[
                job_id,
                now().isoformat(),
                delivery.message_id,
                *self._databases,
                held_key(delivery.slot, ""),
            ],
        )
        if not flat:
            note_outcome(Outcome.NOTHING_TO_DO)
            return None
        return attempt_from_record(job_id, dict(zip(flat[::2], flat[1::2], strict=True)))

    def progress(self, attempt: Attempt, share: float) -> None:
        """Write down how far the attempt is, from 0 to 1.

        Raises:
            SupersededError: another attempt has the job now.
        """
        self._note(attempt, "progress", f"{share:.3f}")

    def begin_billing(self, attempt: Attempt) -> None:
        """Write down that the job is about to be billed: from now on it cannot be cancelled.

        Raises:
            SupersededError: another attempt has the job now, and this one must not bill.
        """
        self._note(attempt, "billed", "1")

    def _note(self, attempt: Attempt, field: str, value: str) -> None:
        if not self._change(keys=[record_key(attempt.job_id)], args=[attempt.number, field, value]):
            raise _superseded(attempt)

    def finish(self, attempt: Attempt, result: ReportResult) -> None:
        """Mark the job done with its result.

        Raises:
            SupersededError: another attempt has the job now.
        """
        self._end(attempt, JobStatus.DONE, progress="1", result=result.model_dump_json())
        note_outcome(Outcome.DONE)

    def fail(self, attempt: Attempt, problem: Problem) -> None:
        """Mark the job failed, with the reason.

        Raises:
            SupersededError: another attempt has the job now.
        """
        self._end(attempt, JobStatus.FAILED, problem=problem.model_dump_json())
        note_outcome(Outcome.FAILED, problem)

    def put_off(self, attempt: Attempt, seconds: float) -> None:
        """Queue the job again, but for later.

        Raises:
            SupersededError: another attempt has the job now.
        """
        self._queue_again(attempt, seconds, uncounted=0)
        note_outcome(Outcome.PUT_OFF)

    def hand_back(self, attempt: Attempt) -> None:
        """Queue the job again, as if this attempt had not been.

        Raises:
            SupersededError: another attempt has the job now.
        """
        self._queue_again(attempt, 0, uncounted=1)
        note_outcome(Outcome.HANDED_BACK)

    def _queue_again(self, attempt: Attempt, seconds: float, *, uncounted: int) -> None:
        queued = self._delay(
            keys=[record_key(attempt.job_id), DELAYED_KEY],
            args=[attempt.number, time.time() + seconds, uncounted],
        )
        if not queued:
            raise _superseded(attempt)

    def _end(self, attempt: Attempt, status: JobStatus, **fields: str) -> None:
        fields |= {"status": status.value, "finished_at": now().isoformat()}
        ended = self._finish(
            keys=[
                record_key(attempt.job_id),
                DELAYED_KEY,
                ENDED_KEY,
                OUTBOX_KEY,
                finish_times_key(attempt.queue),
            ],
            args=[
                attempt.number,
                FINISHED_CHANNEL,
                self._ttl_s,
                *(part for field in fields.items() for part in field),
            ],
        )
        if not ended:
            raise _superseded(attempt)


def _superseded(attempt: Attempt) -> SupersededError:
    note_outcome(Outcome.ABANDONED)
    return SupersededError(attempt)
