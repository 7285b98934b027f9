"""The job store as a worker sees it: claim a job, report progress, finish it."""

from dataclasses import dataclass

from redis import Redis

from reports.models import JobStatus, Problem, now
from reports.spec import ReportResult, ReportSpec
from workers import scripts
from workers.records import FINISHED_CHANNEL, record_key, spec_from_record
from workers.settings import TierSettings


class SupersededError(Exception):
    """Another attempt has claimed the job since: this one must leave no trace."""


@dataclass(frozen=True)
class Attempt:
    """One try at a job; ``number`` counts from 1 and is the fencing token."""

    job_id: str
    number: int
    spec: ReportSpec
    accepted_at: str


class AttemptStore:
    """Synchronous access to the jobs, for worker processes."""

    def __init__(self, settings: TierSettings) -> None:
        self._ttl_s = settings.record_ttl_s
        self._redis = Redis.from_url(settings.records_url, decode_responses=True)
        self._claim = self._redis.register_script(scripts.source("claim"))
        self._update = self._redis.register_script(scripts.source("update"))

    def claim(self, job_id: str) -> Attempt | None:
        """Start an attempt, or return None if nothing is left to do for this job."""
        flat: list[str] = self._claim(keys=[record_key(job_id)], args=[now().isoformat()])
        if not flat:
            return None
        record = dict(zip(flat[::2], flat[1::2], strict=True))
        return Attempt(
            job_id=job_id,
            number=int(record["attempt"]),
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

    def _change(self, attempt: Attempt, channel: str, fields: dict[str, str]) -> None:
        changed = self._update(
            keys=[record_key(attempt.job_id)],
            args=[
                attempt.number,
                channel,
                self._ttl_s,
                *(part for field in fields.items() for part in field),
            ],
        )
        if not changed:
            raise SupersededError(
                f"job {attempt.job_id}: attempt {attempt.number} is not the latest one any more"
            )
