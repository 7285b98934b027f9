"""How metrics ask the broker: quickly, or not at all."""

from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

#: Seconds for one answer. A scrape asks twice at most where there is none, and must be over
#: before the next one: Prometheus looks every 5 s here.
_DEADLINE_S = 1.0


def client_for_metrics(url: str) -> Redis:
    """Return a client that does not ask again, for a scrape that somebody waits for.

    Args:
        url: Server and database.
    """
    return Redis.from_url(
        url,
        socket_timeout=_DEADLINE_S,
        socket_connect_timeout=_DEADLINE_S,
        retry=Retry(NoBackoff(), retries=0),
    )
