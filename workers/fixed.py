"""The job tier, done right: `dramatiq workers.fixed -p 1 -t 1`."""

import logging

import dramatiq
from sqlalchemy import create_engine

from reports.build import price_and_publish
from reports.dataset import ensure_dataset
from reports.failpoints import Failpoint, reached
from reports.lines import count_lines, stream_lines
from reports.publish import discard_parts
from reports.settings import ReportSettings
from reports.spec import ReportResult
from reports.storage import ReportFiles
from workers.attempts import Attempt, AttemptStore
from workers.broker import current_delivery, make_broker
from workers.guard import Guard, broker_required
from workers.handing_back import HandingBack
from workers.job_logs import begin_attempt
from workers.ledger import Ledger, price_cents
from workers.progress import Progress
from workers.queues import BUILD_REPORT, Queue
from workers.settings import TierSettings

_log = logging.getLogger(__name__)
_settings = TierSettings()
_reports = ReportSettings()

handing_back = HandingBack(_settings.shutdown_grace_s)
broker = make_broker(_settings, handing_back)
dramatiq.set_broker(broker)

attempts = AttemptStore(_settings)
guard = Guard(_settings, attempts)
engine = create_engine(ensure_dataset(_reports))
ledger = Ledger(_settings.ledger_path)
files = ReportFiles(_reports.files_dir)
files.folder.mkdir(parents=True, exist_ok=True)


@dramatiq.actor(queue_name=Queue.LONG, actor_name=BUILD_REPORT)
def build_report(job_id: str) -> None:
    """Build the report of a job, bill it and finish the job."""
    reached(Failpoint.FETCH, job_id)
    with broker_required():
        attempt = _begin(job_id)
        if attempt is not None:
            begin_attempt(attempt.number, attempt.request_id)
            guard.run(_try, attempt)
    reached(Failpoint.BEFORE_ACK, job_id)


def _try(attempt: Attempt) -> None:
    _log.info("job started")
    result = _build(attempt)
    _bill(attempt, result)
    _finish(attempt, result)
    _log.info("job completed")


def _begin(job_id: str) -> Attempt | None:
    return attempts.claim(job_id, current_delivery(broker))  # None: there is nothing to do


@handing_back.interruptible()
def _build(attempt: Attempt) -> ReportResult:
    target = files.path(attempt.job_id, attempt.spec.format)
    discard_parts(target, before=attempt.claimed_s)  # what killed attempts have left behind
    progress = Progress(attempts, attempt, total=count_lines(engine, attempt.spec))
    lines = stream_lines(engine, attempt.spec)
    return price_and_publish(lines, attempt.spec, target, progress).result  # temporary name, rename


def _bill(attempt: Attempt, result: ReportResult) -> None:
    attempts.begin_billing(attempt)  # a superseded attempt does not bill
    ledger.charge(
        f"report-{attempt.job_id}",  # the same for every attempt: billing twice is billing once
        job_id=attempt.job_id,
        request_ref=attempt.request_ref,
        attempt=attempt.number,
        amount=price_cents(result.rows),
    )
    reached(Failpoint.AFTER_BILLING, attempt.job_id)


def _finish(attempt: Attempt, result: ReportResult) -> None:
    attempts.finish(attempt, result)  # compare-and-set on the attempt's number
