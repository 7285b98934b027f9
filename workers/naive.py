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
from workers.broker import make_broker
from workers.job_logs import begin_attempt
from workers.ledger import Ledger, price_cents
from workers.queues import BUILD_REPORT, Queue
from workers.records import FINISHED_CHANNEL, read_record, record_key, spec_from_record
from workers.settings import TierSettings

_log = logging.getLogger(__name__)
_settings = TierSettings()
_reports = ReportSettings()

dramatiq.set_broker(make_broker(_settings))

jobs = Redis.from_url(_settings.records_url, decode_responses=True)
engine = create_engine(ensure_dataset(_reports))
ledger = Ledger(_settings.ledger_path)
files = ReportFiles(_reports.files_dir)
files.folder.mkdir(parents=True, exist_ok=True)


@dramatiq.actor(queue_name=Queue.LONG, actor_name=BUILD_REPORT)
def build_report(job_id: str) -> None:
    """Build the report of a job, unless it was built before."""
    reached(Failpoint.FETCH, job_id)
    record = read_record(jobs, job_id)
    spec, attempt = spec_from_record(record), int(record["attempt"]) + 1
    target = files.path(job_id, spec.format)
    lines = count_lines(engine, spec)
    if target.exists():
        _finish(job_id, result_as_found(target, lines))
        return
    begin_attempt(attempt, record.get("request_id"))
    _log.info("job started")
    _change(job_id, status=JobStatus.RUNNING, attempt=str(attempt), started_at=now().isoformat())
    ledger.charge(
        uuid4().hex,
        job_id=job_id,
        request_ref=record["request_ref"],
        attempt=attempt,
        amount=price_cents(lines),
    )
    reached(Failpoint.AFTER_BILLING, job_id)
    with target.open("wb") as file:
        published = price_and_write(stream_lines(engine, spec), spec, file)
    _finish(job_id, published.result)
    _log.info("job completed")
    reached(Failpoint.BEFORE_ACK, job_id)


def _finish(job_id: str, result: ReportResult) -> None:
    finished_at = now().isoformat()
    _change(job_id, status=JobStatus.DONE, finished_at=finished_at, result=result.model_dump_json())
    jobs.publish(FINISHED_CHANNEL, job_id)


def _change(job_id: str, **fields: str) -> None:
    jobs.hset(record_key(job_id), items=[part for field in fields.items() for part in field])
