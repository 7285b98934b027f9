"""Ordering reports and following them: queued, building, ready."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from itertools import count
from time import monotonic
from typing import Any

import httpx

#: The sizes of a report that the page offers: name -> the last day, from 1995-01-01.
SIZES: Mapping[str, str] = {
    "one month": "1995-01-31",
    "half a year": "1995-06-30",
    "a year": "1995-12-31",
    "three years": "1997-12-31",
}

_FIRST_DAY = "1995-01-01"

_TIMEOUT_S = 120.0
_LOOK_S = 0.2

_ENDED = {"done", "failed", "cancelled"}

#: Is told of each change of a report.
Tell = Callable[[Mapping[str, object]], None]


class Orders:
    """Orders reports from one service.

    Args:
        lane: Name of the side.
        url: Of its service.
        start_s: Second 0 of the page, on CLOCK_MONOTONIC.
        tell: Is told of every change of a report.
    """

    def __init__(self, lane: str, url: str, start_s: float, tell: Tell) -> None:
        self._lane = lane
        self._url = url
        self._start_s = start_s
        self._tell = tell
        self._numbers = count(1)
        self._client = httpx.AsyncClient(timeout=_TIMEOUT_S, trust_env=False)

    def point_at(self, url: str) -> None:
        """Order from this service from now on."""
        self._url = url

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def order(self, size: str) -> None:
        """Order one report, and follow it to its end."""
        number = next(self._numbers)
        body = {"shipped_from": _FIRST_DAY, "shipped_to": SIZES[size], "format": "csv"}
        ordered_s = monotonic() - self._start_s
        self._say(number, "building" if self._lane == "naive" else "queued", due_s=ordered_s)
        try:
            answer = await self._client.post(f"{self._url}/reports", json=body)
            answer.raise_for_status()
            job = answer.json()
            while job["status"] not in _ENDED:
                self._say(number, _state(job), **self._moments(job), due_s=ordered_s)
                await asyncio.sleep(_LOOK_S)
                answer = await self._client.get(f"{self._url}/reports/{job['job_id']}")
                answer.raise_for_status()
                job = answer.json()
        except (httpx.HTTPError, ValueError, KeyError) as error:
            self._say(number, "failed", why=str(error) or type(error).__name__, due_s=ordered_s)
            return
        state = "ready" if job["status"] == "done" else "failed"
        self._say(number, state, **self._moments(job), due_s=ordered_s)

    def _say(self, number: int, state: str, **more: object) -> None:
        now_s = round(monotonic() - self._start_s, 3)
        report = {"lane": self._lane, "number": number, "state": state, "at_s": now_s, **more}
        self._tell({"report": report})

    def _moments(self, job: Mapping[str, Any]) -> dict[str, float]:
        """Return when the service began and finished it, seconds since the page's second 0."""
        found = {}
        for name in ("started", "finished"):
            if text := job.get(f"{name}_at"):
                ago_s = (datetime.now(UTC) - datetime.fromisoformat(text)).total_seconds()
                found[f"{name}_s"] = round(monotonic() - ago_s - self._start_s, 3)
        return found


def _state(job: Mapping[str, Any]) -> str:
    return "building" if job["status"] == "running" else "queued"
