"""The job tier, done right: `dramatiq workers.fixed -p 1 -t 1`."""

import logging
import os

import dramatiq
from redis.exceptions import RedisError
from sqlalchemy import create_engine

from reports.build import price_and_publish
from reports.dataset import ensure_dataset
from reports.lines import count_lines, stream_lines
from reports.settings import ReportSettings
from reports.storage import ReportFiles
from workers.attempts import Attempt, AttemptStore, SupersededError
from workers.broker import make_broker
from workers.limits import time_limit
from workers.problems import report_failed, too_many_attempts
from workers.progress import Progress
from workers.queues import BUILD_REPORT, Queue
from workers.retries import RETRYABLE, pause_s
from workers.settings import TierSettings

_log = logging.getLogger(__name__)
_settings = TierSettings()
_reports = ReportSettings()

broker = make_broker(_settings)
dramatiq.set_broker(broker)

attempts = AttemptStore(_settings)
engine = create_engine(ensure_dataset(_reports))
files = ReportFiles(_reports.files_dir)
files.folder.mkdir(parents=True, exist_ok=True)


@dramatiq.actor(queue_name=Queue.REPORTS, actor_name=BUILD_REPORT)
def build_report(job_id: str) -> None:
    """Build the report of a job, unless it was built before."""
    try:
        attempt = attempts.claim(job_id)
        if attempt is not None:
            _try(attempt)
    except SupersededError as error:
        _log.warning("job abandoned job_id=%s: %s", job_id, error)
    except RedisError:
        # Dramatiq would acknowledge the message of a job about which nothing could be written
        # down. A dead slot acknowledges nothing: the job is delivered to another one.
        _log.critical("slot ends itself: the broker is away job_id=%s", job_id, exc_info=True)
        os._exit(os.EX_TEMPFAIL)


def _try(attempt: Attempt) -> None:
    job_id, number = attempt.job_id, attempt.number
    if attempt.since_revival > _settings.max_attempts:
        _log.error("job failed job_id=%s attempt=%d: too many attempts", job_id, number)
        attempts.fail(attempt, too_many_attempts(_settings.max_attempts))
        return
    _log.info("job started job_id=%s attempt=%d", job_id, number)
    try:
        with time_limit(_settings.job_time_limit_s):
            _build(attempt)
    except (SupersededError, RedisError):
        raise
    except RETRYABLE as error:
        if attempt.since_revival == _settings.max_attempts:
            _fail(attempt, error)
            raise
        pause = pause_s(attempt.since_revival, _settings.first_retry_s)
        _log.warning(
            "job put off job_id=%s attempt=%d for %.1f s", job_id, number, pause, exc_info=True
        )
        attempts.put_off(attempt, pause)
    except Exception as error:
        _fail(attempt, error)
        raise
    else:
        _log.info("job completed job_id=%s attempt=%d", job_id, number)


def _build(attempt: Attempt) -> None:
    spec = attempt.spec
    progress = Progress(attempts, attempt, total=count_lines(engine, spec))
    target = files.path(attempt.job_id, spec.format)
    published = price_and_publish(stream_lines(engine, spec), spec, target, progress)
    attempts.finish(attempt, published.result)


def _fail(attempt: Attempt, error: Exception) -> None:
    _log.exception("job failed job_id=%s attempt=%d", attempt.job_id, attempt.number)
    attempts.fail(attempt, report_failed(error))
