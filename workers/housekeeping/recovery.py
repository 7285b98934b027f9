"""Give the jobs of a dead slot to the others, within seconds.

Dramatiq puts a dead worker's messages back as a side effect of other workers' commands, by chance
(one in a thousand) and once the worker has been silent for a minute. A queue with one idle survivor
would wait for minutes.
"""

from dramatiq.brokers.redis import RedisBroker
from dramatiq.common import dq_name
from redis import Redis

from workers.queues import Queue
from workers.settings import TierSettings

#: Dramatiq's scale for chances: this one means always.
_ALWAYS = 1_000_000


class Recovery:
    """Runs Dramatiq's own maintenance, for certain and for every queue."""

    def __init__(self, settings: TierSettings) -> None:
        self._broker = RedisBroker(  # type: ignore[no-untyped-call]
            client=Redis.from_url(str(settings.redis_url)),
            middleware=[],
            maintenance_chance=_ALWAYS,
            heartbeat_timeout=settings.heartbeat_timeout_ms,
        )

    def run(self) -> None:
        """Put back what belongs to workers that have been silent for too long.

        Raises:
            RedisError: the broker did not answer.
        """
        for queue in Queue:
            for name in (queue, dq_name(queue)):
                # Fetching no message at all is a command like any other, so it does maintenance.
                self._broker.do_fetch(name, 0)
