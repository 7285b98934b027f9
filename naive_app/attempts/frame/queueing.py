"""The frame of an attempt that hands the work to the job tier, in its own way."""

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from fastapi import APIRouter, FastAPI
from redis import Redis

from fixed_app import main, problems, reading
from reports.spec import ReportSpec
from web.app import create_app
from workers.queues import BUILD_REPORT, Queue
from workers.records import QueuedJob, record_key
from workers.settings import TierSettings

_settings = TierSettings()
_jobs = Redis.from_url(_settings.records_url)
_broker = RedisBroker(  # type: ignore[no-untyped-call]
    client=Redis.from_url(str(_settings.redis_url)), middleware=[]
)


@dramatiq.actor(broker=_broker, queue_name=Queue.SHORT, actor_name=BUILD_REPORT)
def build_report(job_id: str) -> None:
    """Stand for the actor of the tier: it is sent messages, and never run."""


def hand_over(job: QueuedJob, spec: ReportSpec) -> None:
    """Record a job and send it to the workers, as Dramatiq's documentation does.

    Both steps wait for the broker, without a deadline. A process that dies between them leaves a
    record without a message, and no worker will ever take that job.
    """
    record: dict[str, str | int | float] = {
        "status": job.status,
        "attempt": job.attempt,
        "progress": job.progress,
        "accepted_at": job.accepted_at.isoformat(),
        "spec": spec.model_dump_json(),
        "queue": job.queue,
        "request_ref": job.job_id,
    }
    _jobs.hset(record_key(job.job_id), items=[part for field in record.items() for part in field])
    # As `send()` does, which knows only the actor's own queue.
    _broker.enqueue(build_report.message(job.job_id).copy(queue_name=job.queue))


def queueing_app(title: str, attempt: APIRouter) -> FastAPI:
    """Build the fixed app with another `POST /reports`, and without what only a job tier has."""
    app = create_app(title, main.resources, attempt, reading.router)
    problems.install(app)
    return app
