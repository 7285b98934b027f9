"""Queue the jobs that were delayed: retried, handed back, revived, or found without a message."""

import time

from redis import Redis

from workers import scripts
from workers.messages import build_report_message
from workers.queues import Queue, queue_key
from workers.records import DELAYED_KEY, record_key
from workers.settings import TierSettings

#: Jobs that are queued in one go.
_AT_ONCE = 100


class Delayed:
    """Queues the jobs that are due. Run it in any number of processes."""

    def __init__(self, settings: TierSettings) -> None:
        self._redis = Redis.from_url(settings.records_url, decode_responses=True)
        self._requeue = self._redis.register_script(scripts.source("requeue"))
        self._databases = (settings.broker_db, settings.records_db)

    def run(self) -> int:
        """Queue what is due, and return how many jobs that were.

        Raises:
            RedisError: the broker did not answer; whatever is due is still due.
        """
        due = self._redis.zrange(DELAYED_KEY, 0, time.time(), byscore=True, offset=0, num=_AT_ONCE)
        return sum(self._queue(str(job_id)) for job_id in due)

    def _queue(self, job_id: str) -> int:
        queue = self._redis.hget(record_key(job_id), "queue")
        if queue is None:  # somebody has deleted the record
            self._redis.zrem(DELAYED_KEY, job_id)
            return 0
        message = build_report_message(job_id, Queue(str(queue)))
        queued: int = self._requeue(
            keys=[record_key(job_id), DELAYED_KEY],
            args=[
                job_id,
                *self._databases,
                queue_key(Queue(str(queue))),
                message.options["redis_message_id"],
                message.encode(),
            ],
        )
        return queued
