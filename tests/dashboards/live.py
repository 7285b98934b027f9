"""A Prometheus that scrapes a lab under load, and ways to cause faults in it.

All times are five times shorter than they are for people: scrape intervals, windows of rules, how
long an alert waits, and how long a job may wait. Thresholds are the same.
"""

import json
import re
import signal
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event

import httpx
from dramatiq import Message
from dramatiq.brokers.redis import RedisBroker
from redis import Redis

from offloop.stack.ports import LOOPBACK, free_port
from offloop.stack.service import HttpOk, Service
from offloop.stack.supervisor import Stack
from tests.dashboards.reading import PROMETHEUS

FASTER = 5

#: Milliseconds, by the unit of a duration that is made shorter.
_UNITS = {"s": 1_000 // FASTER, "m": 60_000 // FASTER}


def faster(text: str) -> str:
    """Shorten every duration, and the targets for a wait, in a configuration or in rules."""
    durations, targets = r"(?<=[\[: ])(\d+)([sm])\b", r"(?<=vector\()\d+"
    text = re.sub(durations, lambda found: f"{int(found[1]) * _UNITS[found[2]]}ms", text)
    return re.sub(targets, lambda found: f"{int(found[0]) / FASTER:g}", text)


def prometheus(folder: Path, targets: Sequence[Mapping[str, object]]) -> Service:
    """Debian's Prometheus, configured as beside `offloop up`, only faster."""
    address = f"{LOOPBACK}:{free_port()}"
    local = faster((PROMETHEUS / "local.yml").read_text()).replace(f"{LOOPBACK}:9090", address)
    (folder / "local.yml").write_text(local.replace("../../.offloop/targets/*", "targets"))
    (folder / "rules.yml").write_text(faster((PROMETHEUS / "rules.yml").read_text()))
    (folder / "targets.json").write_text(json.dumps(targets))
    return Service(
        name="prometheus",
        command=(
            *("prometheus", "--config.file", str(folder / "local.yml")),
            *("--storage.tsdb.path", str(folder / "data"), "--web.listen-address", address),
        ),
        ready=HttpOk(f"http://{address}/-/ready"),
        url=f"http://{address}",
    )


@contextmanager
def ordering(app: httpx.Client, order: Mapping[str, str], rate: float) -> Iterator[None]:
    """Order reports, at most `rate` per second."""
    over = Event()

    def send() -> None:
        while not over.wait(1 / rate):
            with suppress(httpx.HTTPError):
                app.post("/reports", json=order)

    with ThreadPoolExecutor(1) as customer:
        customer.submit(send)
        try:
            yield
        finally:
            over.set()


@contextmanager
def paused(stack: Stack, service: str) -> Iterator[None]:
    """Freeze a service: its processes exist, but do nothing."""
    stack.signal(service, signal.SIGSTOP)
    try:
        yield
    finally:
        stack.signal(service, signal.SIGCONT)


def send_unknown_message(redis_url: str, queue: str) -> None:
    """Queue a message for an actor that no slot knows, as after a deploy in the wrong order."""
    message = Message[None](
        queue_name=queue, actor_name="build_summary", args=(), kwargs={}, options={}
    )
    with Redis.from_url(redis_url) as client:
        RedisBroker(client=client, middleware=[]).enqueue(message)  # type: ignore[no-untyped-call]
