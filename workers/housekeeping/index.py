"""The index of all jobs forgets those whose records have expired."""

import time

from redis import Redis

from workers.records import ENDED_KEY, INDEX_KEY
from workers.settings import TierSettings

#: Jobs that are forgotten in one step; a longer one would keep the broker from everybody else.
_AT_ONCE = 1000


class Index:
    """Looks after the index. Run it in any number of processes."""

    def __init__(self, settings: TierSettings) -> None:
        self._redis = Redis.from_url(settings.records_url, decode_responses=True)

    def forget_expired(self) -> int:
        """Remove jobs whose records have expired from the index, and return how many they were.

        Raises:
            RedisError: the broker did not answer.
        """
        forgotten = 0
        while jobs := self._redis.zrange(
            ENDED_KEY, "-inf", time.time(), byscore=True, offset=0, num=_AT_ONCE
        ):
            with self._redis.pipeline() as pipe:
                pipe.zrem(INDEX_KEY, *jobs)
                pipe.zrem(ENDED_KEY, *jobs)
                pipe.execute()
            forgotten += len(jobs)
        return forgotten
