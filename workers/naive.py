"""The job tier as people ship it: `dramatiq workers.naive -p 1 -t 1`."""

import logging
from uuid import uuid4

import dramatiq
from redis import Redis
from sqlalchemy import create_engine

from reports.build import price_and_write
from reports.dataset import ensure_dataset
from reports.failpoints import Failpoint, reached
from reports.lines import count_lines, stream_lines
from reports.models import JobStatus, now
from reports.settings import ReportSettings
from reports.spec import ReportResult
from reports.storage import ReportFiles, result_as_found
from workers.attempts import Attempt, attempt_from_record
from workers.broker import make_broker
from workers.job_logs import begin_attempt
from workers.ledger import Ledger, price_cents
from workers.queues import BUILD_REPORT, Queue
from workers.records import FINISHED_CHANNEL, change_record, read_record
from workers.settings import TierSettings

_log = logging.getLogger(__name__)
_settings = TierSettings()
_reports = ReportSettings()

broker = make_broker(_settings)
dramatiq.set_broker(broker)

jobs = Redis.from_url(_settings.records_url, decode_responses=True)
engine = create_engine(ensure_dataset(_reports))
ledger = Ledger(_settings.ledger_path)
files = ReportFiles(_reports.files_dir)
files.folder.mkdir(parents=True, exist_ok=True)


@dramatiq.actor(queue_name=Queue.LONG, actor_name=BUILD_REPORT)
def build_report(job_id: str) -> None:
    """Build the report of a job, bill it and finish the job."""
    reached(Failpoint.FETCH, job_id)
    attempt = _begin(job_id)
    begin_attempt(attempt.number, attempt.request_id)
    _try(attempt)
    reached(Failpoint.BEFORE_ACK, job_id)


def _try(attempt: Attempt) -> None:
    _log.info("job started")
    result = _build(attempt)
    _bill(attempt, result)
    _finish(attempt, result)
    _log.info("job completed")


def _begin(job_id: str) -> Attempt:
    record = read_record(jobs, job_id)
    started = {"attempt": str(int(record["attempt"]) + 1), "started_at": now().isoformat()}
    change_record(jobs, job_id, status=JobStatus.RUNNING, **started)
    return attempt_from_record(job_id, record | started)


def _build(attempt: Attempt) -> ReportResult:
    target = files.path(attempt.job_id, attempt.spec.format)
    if target.exists():  # an earlier attempt has built it
        return result_as_found(target, count_lines(engine, attempt.spec))
    lines = stream_lines(engine, attempt.spec)
    with target.open("wb") as file:
        return price_and_write(lines, attempt.spec, file).result


def _bill(attempt: Attempt, result: ReportResult) -> None:
    ledger.charge(
        uuid4().hex,
        job_id=attempt.job_id,
        request_ref=attempt.request_ref,
        attempt=attempt.number,
        amount=price_cents(result.rows),
    )
    reached(Failpoint.AFTER_BILLING, attempt.job_id)


def _finish(attempt: Attempt, result: ReportResult) -> None:
    done = {"finished_at": now().isoformat(), "result": result.model_dump_json()}
    change_record(jobs, attempt.job_id, status=JobStatus.DONE, **done)
    jobs.publish(FINISHED_CHANNEL, attempt.job_id)
