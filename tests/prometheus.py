"""Asks a Prometheus that runs."""

import time
from contextlib import suppress
from typing import Any

import httpx

from tests.waiting import HANG_S, wait_for

#: A guard against hanging: five times what an alert of a test takes to fire.
ALERT_HANG_S = 75.0

Json = dict[str, Any]


class Prometheus:
    """Asks a Prometheus that runs at an address."""

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=url, trust_env=False, timeout=HANG_S)
        self._started_s = time.time()

    def close(self) -> None:
        self._client.close()

    def _ask(self, path: str, **parameters: str | float) -> list[Json]:
        answer = self._client.get(f"/api/v1/{path}", params=parameters)
        assert answer.is_success, f"{parameters}: {answer.text}"
        series: list[Json] = answer.json()["data"]["result"]
        return series

    def now(self, query: str) -> list[Json]:
        """The series that a query gives now."""
        return self._ask("query", query=query)

    def ever(self, query: str) -> list[Json]:
        """The series that a query has given so far, with all their values."""
        times = {"start": self._started_s, "end": time.time(), "step": 1}
        return self._ask("query_range", query=query, **times)

    def fired(self, alert: str) -> list[Json]:
        """Each instance of an alert that has fired so far."""
        return self.ever(f'ALERTS{{alertname="{alert}", alertstate="firing"}}')

    def see(self, *alerts: str) -> None:
        """Give alerts the time to fire. Each has its own test, which asks whether it did."""
        with suppress(AssertionError):
            wait_for(lambda: all(map(self.fired, alerts)), ALERT_HANG_S, every_s=0.5)
