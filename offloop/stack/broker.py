"""A broker that was there before the lab, instead of an embedded one."""

import os
from urllib.parse import urlsplit

from redis import Redis, RedisError

from offloop.stack.errors import StackError

#: Names a server to use instead of an embedded one.
REDIS_URL_VARIABLE = "OFFLOOP_REDIS_URL"

#: Seconds to wait for an answer; a server that is there answers within milliseconds.
_TIMEOUT_S = 5.0


def given_broker() -> str | None:
    """Return the URL of the server to use, which has just answered; None if none is named.

    Raises:
        StackError: a server is named, but cannot be used.
    """
    url = os.environ.get(REDIS_URL_VARIABLE)
    if not url:
        return None
    try:
        with Redis.from_url(
            url, socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S
        ) as redis:
            redis.ping()
    except (RedisError, ValueError) as error:
        raise StackError(
            f"{REDIS_URL_VARIABLE} names {without_password(url)}, which cannot be used: {error} "
            "Start the server, correct the URL, or unset the variable to use an embedded server."
        ) from error
    return url


def without_password(url: str) -> str:
    """Return a URL as it may be shown and logged."""
    parts = urlsplit(url)
    _, at, host = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"***@{host}" if at else host).geturl()
