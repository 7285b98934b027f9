"""Which errors are worth another attempt, when that is due, and who queues it.

Dramatiq's own retries are not used: they acknowledge the message even where enqueueing the next one
failed, and keep those that wait in a worker's memory. Here a job waits in the records' database,
put off and queued again in one atomic step each.
"""

import random
import time

from redis import Redis
from sqlalchemy.exc import OperationalError

from workers import scripts
from workers.messages import build_report_message
from workers.queues import NAMESPACE, Queue
from workers.records import RETRIES_KEY, record_key
from workers.settings import TierSettings

#: What may be over in a while: a full disk, a folder or a database that is away. All else is
#: wrong with the job or the code, and would be wrong again.
RETRYABLE = (OSError, OperationalError)

#: Seconds; the longest pause between two attempts.
LONGEST_PAUSE_S = 300.0

#: Jobs that are queued in one go.
_AT_ONCE = 100

# Spreads attempts; no secret depends on it.
_random = random.SystemRandom()


def pause_s(attempt: int, first_s: float) -> float:
    """Return the seconds between a failed attempt and the next: doubling, with jitter.

    Half of the pause is random ("equal jitter"), so that what failed together does not come
    back together.

    Args:
        attempt: Number of the attempt that failed, from 1.
        first_s: The pause after the first one.
    """
    longest_s = min(first_s * 2.0 ** (attempt - 1), LONGEST_PAUSE_S)
    return longest_s * _random.uniform(0.5, 1)


class Retries:
    """Queues the jobs whose pause is over. Run it in any number of processes."""

    def __init__(self, settings: TierSettings) -> None:
        self._redis = Redis.from_url(settings.records_url, decode_responses=True)
        self._requeue = self._redis.register_script(scripts.source("requeue"))
        self._databases = (settings.broker_db, settings.records_db)

    def run(self) -> int:
        """Queue what is due, and return how many jobs that were.

        Raises:
            RedisError: the broker did not answer; whatever is due is still due.
        """
        due = self._redis.zrange(RETRIES_KEY, 0, time.time(), byscore=True, offset=0, num=_AT_ONCE)
        return sum(self._queue(str(job_id)) for job_id in due)

    def _queue(self, job_id: str) -> int:
        message = build_report_message(job_id)
        queued: int = self._requeue(
            keys=[RETRIES_KEY, record_key(job_id)],
            args=[
                job_id,
                *self._databases,
                f"{NAMESPACE}:{Queue.REPORTS}",
                message.options["redis_message_id"],
                message.encode(),
            ],
        )
        return queued
