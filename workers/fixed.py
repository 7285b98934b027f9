"""The job tier, done right: `dramatiq workers.fixed -p 1 -t 1`."""

import logging

import dramatiq
from sqlalchemy import create_engine

from reports.build import price_and_publish
from reports.dataset import ensure_dataset
from reports.lines import count_lines, stream_lines
from reports.models import Problem
from reports.settings import ReportSettings
from reports.storage import ReportFiles
from workers.attempts import Attempt, AttemptStore, SupersededError
from workers.broker import make_broker
from workers.progress import Progress
from workers.queues import BUILD_REPORT, Queue
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
    attempt = attempts.claim(job_id)
    if attempt is None:
        return
    _log.info("job started job_id=%s attempt=%d", job_id, attempt.number)
    try:
        _build(attempt)
    except SupersededError as error:
        _log.warning("job abandoned job_id=%s: %s", job_id, error)
        return
    except Exception as error:
        _log.exception("job failed job_id=%s attempt=%d", job_id, attempt.number)
        attempts.fail(attempt, _describe(error))
        raise
    _log.info("job completed job_id=%s attempt=%d", job_id, attempt.number)


def _build(attempt: Attempt) -> None:
    spec = attempt.spec
    progress = Progress(attempts, attempt, total=count_lines(engine, spec))
    target = files.path(attempt.job_id, spec.format)
    published = price_and_publish(stream_lines(engine, spec), spec, target, progress)
    attempts.finish(attempt, published.result)


def _describe(error: Exception) -> Problem:
    return Problem(
        type="urn:offloop:problem:report-failed",
        title="The report could not be built",
        status=500,
        detail=f"{type(error).__name__} while building the report",
    )
