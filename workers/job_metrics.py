"""What becomes of jobs in a slot, and how long they wait and run.

Dramatiq alone does not know: to it, an attempt that was put off or handed back is a success, and so
is one that found its job in the hands of another. So the store of attempts says what it did, and
Dramatiq's view is what counts where nobody has said anything, as in a tier without that store.
"""

import sys
import time
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum

import dramatiq
from dramatiq.middleware import Middleware
from prometheus_client import Counter, Gauge, Histogram

from reports.models import Problem
from workers.queues import Queue


class Outcome(StrEnum):
    """What became of an attempt."""

    DONE = "done"
    #: For good; the two so far are what ends a job.
    FAILED = "failed"
    #: It failed for a reason that may pass, and the job will be tried again.
    PUT_OFF = "put_off"
    #: The slot was told to stop.
    HANDED_BACK = "handed_back"
    #: The job is another attempt's by now.
    ABANDONED = "abandoned"
    #: A message was delivered again, or its job was cancelled: there was no attempt.
    NOTHING_TO_DO = "nothing_to_do"


#: Seconds; a queue that drains may keep a job waiting for half an hour.
WAIT_BUCKETS_S = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1200, 1800)

#: Seconds; a report takes from 50 ms to about a minute, and attempts end after ten.
RUN_BUCKETS_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)

_JOB = ("actor", "queue")

FINISHED = Counter(
    "offloop_jobs_finished",
    "Attempts at jobs that came to an end, by what became of them and the error, if there was one.",
    labelnames=(*_JOB, "outcome", "error"),
)
WAIT = Histogram(
    "offloop_job_wait_seconds",
    "From when a job was queued until an attempt at it began; seen when the attempt ends.",
    labelnames=_JOB,
    buckets=WAIT_BUCKETS_S,
)
RUN = Histogram(
    "offloop_job_run_seconds",
    "From when an attempt at a job began until it came to an end, whichever.",
    labelnames=_JOB,
    buckets=RUN_BUCKETS_S,
)
IN_PROGRESS = Gauge(
    "offloop_jobs_in_progress", "Jobs that this slot works on now.", labelnames=("queue",)
)


@dataclass
class _Work:
    """A message that is worked on.

    Attributes:
        wait_s: Seconds since it was queued.
        began_s: When work began (monotonic clock).
        outcome: What the store says became of it; None while it says nothing.
        error: Why.
    """

    wait_s: float
    began_s: float
    outcome: Outcome | None = None
    error: str = ""


_work: ContextVar[_Work | None] = ContextVar("work", default=None)


def note_outcome(outcome: Outcome, problem: Problem | None = None) -> None:
    """Say what became of the job that this thread works on; the last word counts.

    Of what went wrong, the error is the class of the exception that is being handled.

    Args:
        outcome: What.
        problem: Of a job that failed; says why, where no exception is being handled.
    """
    work = _work.get()
    if work is None:  # not in a slot
        return
    work.outcome, work.error = outcome, ""
    if outcome in {Outcome.FAILED, Outcome.PUT_OFF}:
        error = sys.exception()
        if error is not None:
            work.error = type(error).__name__
        elif problem is not None:
            work.error = problem.type.rpartition(":")[2]


class JobMetrics(Middleware):
    """Measures each message that this slot works on."""

    def before_worker_boot(
        self,
        broker: dramatiq.Broker,  # noqa: ARG002 - Dramatiq passes both
        worker: dramatiq.Worker,
    ) -> None:
        """Show the slot's queues, idle so far."""
        for queue in worker.consumer_whitelist or Queue:
            IN_PROGRESS.labels(queue).set(0)

    def before_process_message(
        self,
        broker: dramatiq.Broker,  # noqa: ARG002 - Dramatiq passes both
        message: dramatiq.MessageProxy,
    ) -> None:
        """Look at the clock."""
        # Two clocks, if the message comes from another host; they may differ a little.
        wait_s = max(0.0, time.time() - message.message_timestamp / 1000)
        _work.set(_Work(wait_s, time.monotonic()))
        IN_PROGRESS.labels(message.queue_name).set(1)

    def after_process_message(
        self,
        broker: dramatiq.Broker,  # noqa: ARG002 - Dramatiq passes it
        message: dramatiq.MessageProxy,
        *,
        result: object = None,  # noqa: ARG002
        exception: BaseException | None = None,
    ) -> None:
        """Look at the clock again, and count."""
        IN_PROGRESS.labels(message.queue_name).set(0)
        work = _work.get()
        assert work is not None  # noqa: S101 - set before every message, in the same thread
        _work.set(None)
        if work.outcome is None:
            work.outcome = Outcome.DONE if exception is None else Outcome.FAILED
            work.error = "" if exception is None else type(exception).__name__
        job = (message.actor_name, message.queue_name)
        FINISHED.labels(*job, work.outcome, work.error).inc()
        if work.outcome is not Outcome.NOTHING_TO_DO:
            WAIT.labels(*job).observe(work.wait_s)
            RUN.labels(*job).observe(time.monotonic() - work.began_s)
