"""Queue the jobs again that nobody would ever work on: those without a message.

Accepting, retrying and finishing never leave a job without one. What can: a worker of another
version, which does not know the actor and rejects the message; somebody who empties a queue by
hand; a broker that lost its last writes.
"""

import logging
from collections.abc import Sequence
from itertools import islice

from redis import Redis

from workers import scripts
from workers.queues import Queue, queue_key
from workers.records import DELAYED_KEY, open_key, record_key
from workers.settings import TierSettings

_log = logging.getLogger(__name__)

#: Jobs that one script looks at; a longer one would keep the broker from everybody else.
_AT_ONCE = 100


class Sweeper:
    """Looks at all jobs that have not come to an end. Run it in any number of processes."""

    def __init__(self, settings: TierSettings) -> None:
        self._redis = Redis.from_url(settings.records_url, decode_responses=True)
        self._sweep = self._redis.register_script(scripts.source("sweep"))
        self._databases = (settings.broker_db, settings.records_db)

    def run(self) -> None:
        """Look at all of them.

        Raises:
            RedisError: the broker did not answer.
        """
        for queue in Queue:
            open_jobs = self._redis.sscan_iter(open_key(queue))
            while jobs := [str(job_id) for job_id in islice(open_jobs, _AT_ONCE)]:
                self._look_at(queue, jobs)

    def _look_at(self, queue: Queue, jobs: Sequence[str]) -> None:
        swept: list[str] = self._sweep(
            keys=[open_key(queue), DELAYED_KEY, *map(record_key, jobs)],
            args=[*self._databases, queue_key(queue)],
        )
        for job_id in swept:
            _log.warning("job queued again: it had no message", extra={"job_id": job_id})
