"""The callbacks that were given up, for operators."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import cast

from redis import Redis

from workers import scripts
from workers.records import GIVEN_UP_KEY, OUTBOX_KEY, event_key
from workers.settings import TierSettings


@dataclass(frozen=True)
class GivenUp:
    """A callback that is delivered no more."""

    event_id: str
    given_up_at: datetime
    url: str
    tries: int
    #: Why the last try failed.
    failure: str


class Undelivered:
    """Looks at callbacks that were given up, and sends them on their way again."""

    def __init__(self, settings: TierSettings) -> None:
        deadline_s = settings.broker_deadline_s
        self._redis = Redis.from_url(
            settings.records_url,
            decode_responses=True,
            socket_timeout=deadline_s,
            socket_connect_timeout=deadline_s,
        )
        self._redeliver = self._redis.register_script(scripts.source("redeliver_event"))

    def latest(self, limit: int) -> list[GivenUp]:
        """Return those that were given up last, the last one first.

        Raises:
            RedisError: the broker did not answer.
        """
        rows = self._redis.zrevrange(GIVEN_UP_KEY, 0, limit - 1, withscores=True)
        found = []
        for event_id, moment in cast("list[tuple[str, float]]", rows):
            event = cast("dict[str, str]", self._redis.hgetall(event_key(event_id)))
            if event:  # its content may have expired a moment before its place here
                at = datetime.fromtimestamp(moment, UTC)
                tries, failure = int(event["tries"]), event.get("failure", "")
                found.append(GivenUp(event_id, at, event["url"], tries, failure))
        return found

    def redeliver(self, event_id: str) -> bool:
        """Deliver an event again, with as many tries as at first; False if it was not given up.

        Raises:
            RedisError: the broker did not answer.
        """
        keys = [OUTBOX_KEY, event_key(event_id), GIVEN_UP_KEY]
        return bool(self._redeliver(keys=keys, args=[event_id]))
