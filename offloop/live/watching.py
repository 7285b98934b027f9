"""What the page shows beside pings: loop lag, the line that holds the loop, queue depth."""

import asyncio
import re
from collections.abc import Mapping
from contextlib import suppress

import httpx
from redis import Redis, RedisError

from offloop.stack.queues import unfinished

#: Seconds between two looks at metrics, and at the queues.
METRICS_S = 1.0
QUEUES_S = 0.5

_TIMEOUT_S = 1.0

_LAG = re.compile(r"^offloop_loop_lag_max_seconds (\S+)$", re.MULTILINE)
_STALLS = re.compile(r"^offloop_loop_stall_seconds_sum\{(?P<labels>[^}]*)\} (\S+)$", re.MULTILINE)
#: Where an idle loop is.
_WAITING = "selectors.py"

_LABEL = re.compile(r'(\w+)="([^"]*)"')


class LoopWatch:
    """Asks one side's API for its event loop's lag, and for the code that held it lately."""

    def __init__(self) -> None:
        self._client = httpx.AsyncClient(timeout=_TIMEOUT_S, trust_env=False)
        self._stalled: Mapping[str, float] = {}

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def look(self, metrics_url: str) -> dict[str, object]:
        """Return the lag in milliseconds, and the culprit; nothing of what does not answer.

        Args:
            metrics_url: Of the API. Metrics come from a thread of their own, so that they come
                while the loop stalls, too.
        """
        try:
            answer = await self._client.get(metrics_url, params={"window": METRICS_S})
        except httpx.HTTPError:
            return {}
        lag = _LAG.search(answer.text)
        stalled = stalled_by_code(answer.text)
        gained = {code: seconds - self._stalled.get(code, 0.0) for code, seconds in stalled.items()}
        self._stalled = stalled
        # A loop that waits in `select` is not held by it: the process had no CPU.
        named = {code: s for code, s in gained.items() if s > 0 and _WAITING not in code}
        return {
            "lag_ms": None if lag is None else round(1000 * float(lag[1]), 1),
            "culprit": max(named, key=named.__getitem__, default=None),
        }


def stalled_by_code(text: str) -> dict[str, float]:
    """Read from the text of metrics how long which code has held the loop: place -> seconds."""
    found: dict[str, float] = {}
    for match in _STALLS.finditer(text):
        labels = dict(_LABEL.findall(match["labels"]))
        place = f"{labels.get('file', '?')} {labels.get('function', '?')}"
        found[place] = found.get(place, 0.0) + float(match[2])
    return found


async def depth(redis_url: str) -> int | None:
    """Return how many jobs wait or are being worked on; None where the broker does not answer."""

    def ask() -> int | None:
        with (
            suppress(RedisError),
            Redis.from_url(
                redis_url, socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S
            ) as redis,
        ):
            return sum(unfinished(redis).values())
        return None

    return await asyncio.to_thread(ask)
