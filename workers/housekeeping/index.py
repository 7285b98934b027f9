"""The index of all jobs forgets those whose records have expired."""

from redis import Redis

from workers.records import INDEX_KEY, record_key
from workers.settings import TierSettings

#: Jobs that are looked at in one go, the oldest first.
_AT_ONCE = 100


class Index:
    """Looks after the index. Run it in any number of processes."""

    def __init__(self, settings: TierSettings) -> None:
        self._redis = Redis.from_url(settings.records_url, decode_responses=True)

    def forget_expired(self) -> int:
        """Remove jobs without a record from the index, and return how many they were.

        Raises:
            RedisError: the broker did not answer.
        """
        oldest = [str(job_id) for job_id in self._redis.zrange(INDEX_KEY, 0, _AT_ONCE - 1)]
        expired = [job_id for job_id in oldest if not self._redis.exists(record_key(job_id))]
        return int(self._redis.zrem(INDEX_KEY, *expired)) if expired else 0
