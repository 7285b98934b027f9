"""The job tier, done right: `dramatiq workers.fixed -p 1 -t 1`."""

import logging
import os

import dramatiq
from dramatiq.middleware import Shutdown
from redis.exceptions import RedisError
from sqlalchemy import create_engine

from reports.build import price_and_publish
from reports.dataset import ensure_dataset
from reports.failpoints import Failpoint, reached
from reports.lines import count_lines, stream_lines
from reports.publish import discard_parts
from reports.settings import ReportSettings
from reports.spec import ReportResult
from reports.storage import ReportFiles
from workers.attempts import Attempt, AttemptStore, SupersededError
from workers.backoff import backoff_s
from workers.broker import current_delivery, make_broker
from workers.handing_back import HandingBack
from workers.job_logs import begin_attempt
from workers.ledger import Ledger, price_cents
from workers.limits import time_limit
from workers.problems import report_failed, too_many_attempts
from workers.progress import Progress
from workers.queues import BUILD_REPORT, Queue
from workers.retries import LONGEST_PAUSE_S, RETRYABLE
from workers.settings import TierSettings

_log = logging.getLogger(__name__)
_settings = TierSettings()
_reports = ReportSettings()

handing_back = HandingBack(_settings.shutdown_grace_s)
broker = make_broker(_settings, handing_back)
dramatiq.set_broker(broker)

attempts = AttemptStore(_settings)
engine = create_engine(ensure_dataset(_reports))
ledger = Ledger(_settings.ledger_path)
files = ReportFiles(_reports.files_dir)
files.folder.mkdir(parents=True, exist_ok=True)


@dramatiq.actor(queue_name=Queue.LONG, actor_name=BUILD_REPORT)
def build_report(job_id: str) -> None:
    """Build the report of a job, unless it was built before."""
    reached(Failpoint.FETCH, job_id)
    try:
        attempt = attempts.claim(job_id, current_delivery(broker))
        if attempt is not None:
            _try(attempt)
    except SupersededError as error:
        _log.warning("job abandoned: %s", error)
    except RedisError:
        # Dramatiq would acknowledge the message of a job about which nothing could be written
        # down. A dead slot acknowledges nothing: the job is delivered to another one.
        _log.critical("slot ends itself: the broker is away", exc_info=True)
        os._exit(os.EX_TEMPFAIL)
    reached(Failpoint.BEFORE_ACK, job_id)


def _try(attempt: Attempt) -> None:
    begin_attempt(attempt.number, attempt.request_id)
    if attempt.counted > _settings.max_attempts:
        _log.error("job failed: too many attempts")
        attempts.fail(attempt, too_many_attempts(_settings.max_attempts))
        return
    _log.info("job started")
    try:
        with time_limit(_settings.job_time_limit_s):
            with handing_back.interruptible():
                result = _build(attempt)
            _bill(attempt, result)
            attempts.finish(attempt, result)
        _log.info("job completed")
    except (SupersededError, RedisError):
        raise
    except Shutdown:
        _log.warning("job handed back: the slot stops")
        attempts.hand_back(attempt)
    except Exception as error:
        if not isinstance(error, RETRYABLE) or attempt.counted == _settings.max_attempts:
            _log.exception("job failed")
            attempts.fail(attempt, report_failed(error))
            raise
        _log.warning("job put off", exc_info=True)
        pause_s = backoff_s(attempt.counted, _settings.first_retry_s, LONGEST_PAUSE_S)
        attempts.put_off(attempt, pause_s)


def _build(attempt: Attempt) -> ReportResult:
    target = files.path(attempt.job_id, attempt.spec.format)
    discard_parts(target, before=attempt.claimed_s)  # what killed attempts have left behind
    progress = Progress(attempts, attempt, total=count_lines(engine, attempt.spec))
    lines = stream_lines(engine, attempt.spec)
    return price_and_publish(lines, attempt.spec, target, progress).result


def _bill(attempt: Attempt, result: ReportResult) -> None:
    attempts.begin_billing(attempt)  # nobody bills who has been superseded meanwhile
    ledger.charge(
        f"report-{attempt.job_id}",  # the same for every attempt: billing twice is billing once
        job_id=attempt.job_id,
        request_ref=attempt.request_ref,
        attempt=attempt.number,
        amount=price_cents(result.rows),
    )
    reached(Failpoint.AFTER_BILLING, attempt.job_id)
