"""A lab that is really running, the Prometheus that scrapes it, and what can be done to it.

Everything that lasts is five times shorter than it is for people: scrapes, windows of rules, how
long an alert waits, and how long a job may wait. Thresholds are what they are.
"""

import json
import math
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
from dramatiq import Message
from dramatiq.brokers.redis import RedisBroker
from redis import Redis

from offloop.stack.ports import LOOPBACK, free_port
from tests.cli.checkout import Checkout, wait_for
from tests.dashboards.reading import PROMETHEUS, Json

FASTER = 5

#: Seconds between two scrapes.
SCRAPE_S = 1

#: Where a duration stands in configuration and rules; what it is comes last.
_DURATIONS = re.compile(
    r"(?P<before>(?:_interval|_timeout|for|offset):? +|\[|:)(?P<number>\d+)(?P<unit>[sm])\b"
)

#: How long a job may wait, in the rules.
_TARGETS = re.compile(r"expr: vector\((?P<seconds>\d+)\)")

#: Guards against hanging: five times what they guard may take.
_HANG_S = 60.0
ALERT_HANG_S = 75.0

#: Days of a short report, and of the longest.
SHORT = {"shipped_from": "1995-03-01", "shipped_to": "1995-03-31", "format": "csv"}
LONGEST = {"shipped_from": "1992-01-01", "shipped_to": "1998-12-31", "format": "csv"}


def faster(text: str) -> str:
    """Shorten every duration in a configuration or in rules."""

    def shorten(found: re.Match[str]) -> str:
        seconds = int(found["number"]) * {"s": 1, "m": 60}[found["unit"]]
        return f"{found['before']}{1000 * seconds // FASTER}ms"

    text = _DURATIONS.sub(shorten, text)
    return _TARGETS.sub(lambda found: f"expr: vector({int(found['seconds']) / FASTER:g})", text)


class Prometheus:
    """A Prometheus that runs.

    Args:
        url: Where it listens.
    """

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=url, trust_env=False, timeout=_HANG_S)
        self.started_s = time.time()

    def close(self) -> None:
        """Close the connections to it."""
        self._client.close()

    def ready(self) -> bool:
        """Whether it answers."""
        with suppress(httpx.TransportError):
            return self._client.get("/-/ready").status_code == httpx.codes.OK
        return False

    def ask(self, path: str, **parameters: object) -> Any:  # noqa: ANN401 - JSON
        """Ask its API; the data in the answer."""
        answer = self._client.post(
            f"/api/v1/{path}", data={k: str(v) for k, v in parameters.items()}
        )
        content = answer.json()
        assert content["status"] == "success", f"{parameters}: {content}"
        return content["data"]

    def get(self, path: str, **parameters: str) -> Any:  # noqa: ANN401 - JSON
        """Ask that part of its API that answers to GET only."""
        answer = self._client.get(f"/api/v1/{path}", params=parameters)
        return answer.raise_for_status().json()["data"]

    def now(self, expr: str) -> list[Json]:
        """Series that a query gives now."""
        found: list[Json] = self.ask("query", query=expr)["result"]
        return found

    def values(self, expr: str) -> list[float]:
        """Every number that a query has given so far."""
        end_s = time.time()
        series = self.ask(
            "query_range", query=expr, start=self.started_s, end=end_s, step=SCRAPE_S
        )["result"]
        numbers = (float(value) for each in series for _, value in each["values"])
        return [number for number in numbers if math.isfinite(number)]

    def fired(self, alert: str) -> list[Json]:
        """The instances of an alert that have fired so far."""
        since_s = math.ceil(time.time() - self.started_s) + 1
        return self.now(
            f'max_over_time(ALERTS{{alertname="{alert}", alertstate="firing"}}[{since_s}s])'
        )


@dataclass
class Lab:
    """`offloop up both`, with a gentle load on both sides.

    Attributes:
        checkout: Where it runs.
        up: Its process.
        prometheus: Scrapes it.
    """

    checkout: Checkout
    up: subprocess.Popen[str]
    prometheus: Prometheus

    def services(self) -> Mapping[str, Json]:
        """What it has written about its services."""
        listing = json.loads((self.checkout.folder / ".offloop" / "up.json").read_text())
        return {service["name"]: service for service in listing["services"]}

    @property
    def files(self) -> Path:
        """Where the workers write."""
        return self.checkout.folder / ".offloop" / "up" / "files" / "fixed"

    @contextmanager
    def ordering(self, side: str, order: Json, rate: float) -> Iterator[None]:
        """Order reports, a number of times a second, whether or not they are answered."""
        url = f"{self.services()[side]['url']}/reports"
        over = threading.Event()

        def send(client: httpx.Client) -> None:
            with suppress(httpx.HTTPError):
                client.post(url, json=order)

        def run() -> None:
            # Naive holds each for as long as it builds all before.
            limits = httpx.Limits(max_connections=None)
            with (
                httpx.Client(trust_env=False, timeout=_HANG_S, limits=limits) as client,
                ThreadPoolExecutor(max_workers=32) as senders,
            ):
                while not over.wait(1 / rate):
                    senders.submit(send, client)
                senders.shutdown(cancel_futures=True)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    @contextmanager
    def paused(self, service: str) -> Iterator[None]:
        """Freeze a service and all that it has started: it is there, and does nothing."""
        main = psutil.Process(self.services()[service]["pid"])
        frozen = [main, *main.children(recursive=True)]
        for process in frozen:
            process.suspend()
        try:
            yield
        finally:
            for process in frozen:
                with suppress(psutil.NoSuchProcess):
                    process.resume()

    @contextmanager
    def without_files(self) -> Iterator[None]:
        """Let nothing be written where reports are written."""
        aside = self.files.with_name("aside")
        self.files.rename(aside)
        self.files.write_text("in the way\n")
        try:
            yield
        finally:
            self.files.unlink()
            aside.rename(self.files)

    def send_to_nobody(self, queue: str) -> None:
        """Queue a message for an actor that no slot knows, as after a deploy in the wrong order."""
        message = Message[None](
            queue_name=queue, actor_name="build_summary", args=(), kwargs={}, options={}
        )
        with Redis.from_url(f"{self.services()['redis']['url']}/0") as client:
            RedisBroker(client=client, middleware=[]).enqueue(message)  # type: ignore[no-untyped-call]

    def keep_killing(self, service: str, until: Callable[[], object]) -> None:
        """Kill a service whenever it has been started again, until something is true."""
        deadline = time.monotonic() + ALERT_HANG_S
        while not until() and time.monotonic() < deadline:
            pid = self.services()[service]["pid"]
            if pid is not None:  # None while it is dead, which psutil would take for "me"
                with suppress(psutil.NoSuchProcess):
                    psutil.Process(pid).kill()
            time.sleep(0.1)

    def is_well(self) -> bool:
        """Whether every process answers a scrape, and the broker can be read."""
        up = self.prometheus.now("min(up) * min(offloop_broker_up)")
        return bool(up) and float(up[0]["value"][1]) == 1

    def see(self, *alerts: str) -> None:
        """Give alerts the time to fire. Whether they did is asked later, of each."""
        deadline = time.monotonic() + ALERT_HANG_S
        while time.monotonic() < deadline and not all(map(self.prometheus.fired, alerts)):
            time.sleep(SCRAPE_S / 2)


@contextmanager
def prometheus(checkout: Checkout) -> Iterator[Prometheus]:
    """Run Debian's Prometheus, configured as for people, only faster."""
    folder = checkout.folder / "prometheus"
    folder.mkdir()
    port = free_port()
    local = faster((PROMETHEUS / "local.yml").read_text())
    local = local.replace("../../.offloop", str(checkout.folder / ".offloop"))
    local = local.replace(f"{LOOPBACK}:9090", f"{LOOPBACK}:{port}")
    (folder / "local.yml").write_text(local)
    (folder / "rules.yml").write_text(faster((PROMETHEUS / "rules.yml").read_text()))
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [
                *("prometheus", "--config.file", folder / "local.yml"),
                *("--storage.tsdb.path", folder / "data"),
                *("--web.listen-address", f"{LOOPBACK}:{port}"),
            ],
            stdout=log,
            stderr=log,
        )
    started = Prometheus(f"http://{LOOPBACK}:{port}")
    try:
        wait_for(started.ready)
        yield started
    finally:
        started.close()
        process.terminate()
        process.wait(timeout=_HANG_S)


@contextmanager
def load(checkout: Checkout, hosts: Mapping[str, str], duration_s: float) -> Iterator[None]:
    """Send a gentle load to each side, and tell Prometheus where its clients' view is."""
    targets: list[Json] = []
    started: list[subprocess.Popen[bytes]] = []
    with (checkout.folder / "locust.log").open("w") as log:
        for side, host in hosts.items():
            port = free_port()
            started.append(
                subprocess.Popen(
                    [
                        *(sys.executable, "-m", "locust", "--headless", "--host", host),
                        *("-f", checkout.folder / "loadtests" / "locustfile.py"),
                        *("--ping-rate", "20", "--report-rate", "0.5"),
                        *("--duration", str(duration_s), "--drain", "1"),
                    ],
                    cwd=checkout.folder,
                    env={**os.environ, "OFFLOOP_METRICS_PORT": str(port)},
                    stdout=log,
                    stderr=log,
                )
            )
            labels = {"job": "load", "side": side, "instance": f"load-{side}"}
            targets.append({"targets": [f"{LOOPBACK}:{port}"], "labels": labels})
    file = checkout.folder / ".offloop" / "targets" / "load"
    file.write_text(json.dumps(targets))
    file.rename(file.with_suffix(".json"))  # whole, or Prometheus would complain
    try:
        yield
    finally:
        for process in started:
            process.terminate()
            process.wait(timeout=_HANG_S)
