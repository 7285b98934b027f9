"""What becomes of ten times the orders that can be done? `python -m benchmarks.overload`."""

import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import psutil
from redis import Redis

from offloop.load.arrivals import poisson
from offloop.load.generator import Generator
from offloop.load.log import RequestLog
from offloop.load.plan import Plan, Stream
from offloop.load.records import RequestRow
from offloop.project import project_root
from offloop.stack.catalog import STANDARD_TIER, WAYS, Site, api, housekeeping, worker
from offloop.stack.pools import STANDARD_POOLS
from offloop.stack.ports import free_port
from offloop.stack.queues import unfinished
from offloop.stack.redis import embedded_redis
from offloop.stack.service import Service
from offloop.stack.supervisor import Stack

#: How many times the orders that can be done, and for how long (s).
OVERLOAD = 10
SECONDS = 60
#: Seconds of bystanders alone, before and after.
CALM_S = 20

#: Bystanders per second.
BYSTANDERS = 100

#: A quarter: long enough that ten times the orders are not many requests.
REPORT = {"shipped_from": "1995-01-01", "shipped_to": "1995-03-31", "format": "csv"}
POOL = QUEUE = "long"
QUEUE_LIMIT = 40

#: What is promised: seconds to an answer, bystanders' p99 against the calm, growth of the API.
ANSWER_S = 1.0
BYSTANDER_RATIO = 2.0
MEMORY_GROWTH = 1.10

_SEED = 11
_DRAIN_S = 5.0
_DEPTH_EVERY_S = 0.05


@dataclass(frozen=True)
class Overload:
    """What was seen; times in seconds, memory in bytes.

    Attributes:
        drain_per_s: Reports that one slot builds in a second.
        statuses: How many orders were answered in which way; None for no answer.
        slowest_answer_s: From the moment an order was due.
        bystander_p99_s: With the orders.
        calm_p99_s: Without, before and after.
        deepest: Most jobs in the queue that were seen.
        api_bytes: Resident memory of the API before and after.
    """

    drain_per_s: float
    statuses: Mapping[int | None, int]
    slowest_answer_s: float
    bystander_p99_s: float
    calm_p99_s: tuple[float, float]
    deepest: int
    api_bytes: tuple[int, int]


def measure(seconds: float, calm_s: float, environment: Mapping[str, str]) -> Overload:
    """Start a tier with one slot, and send it `OVERLOAD` times the orders that it can do.

    Args:
        seconds: Of overload.
        calm_s: Of bystanders alone, before and after.
        environment: Set for all services, such as the scale of the data set.
    """
    environment = {**environment, "OFFLOOP_QUEUE_LIMIT": str(QUEUE_LIMIT)}
    with TemporaryDirectory() as folder, Stack(Path(folder) / "logs") as stack:
        redis = embedded_redis(stack.folder / "redis", free_port())
        stack.start(redis)
        site = Site(project_root(), stack.folder / "files", f"{redis.url}/0")
        services = [
            replace(service, env={**service.env, **environment})
            for service in (
                api(WAYS["fixed_app.reports"], site),
                worker(POOL, 1, STANDARD_POOLS[POOL], STANDARD_TIER, site),
                housekeeping(site),
            )
        ]
        stack.start(*services)
        process = psutil.Process(stack.pids()[services[0].name][0])
        drain_per_s = _drain_per_s(services[0])

        # A generator of its own for each: its reading of logs must not disturb the next.
        def run(name: str, length_s: float, orders_per_s: float) -> RequestLog:
            with Generator() as generator:
                plan = _plan(str(services[0].url), length_s, orders_per_s)
                return generator.run(plan, Path(folder) / name)

        before = run("before", calm_s, 0)
        bytes_before = process.memory_info().rss
        with _depths(f"{redis.url}/0") as depths:
            loaded = run("overload", seconds, OVERLOAD * drain_per_s)
        bytes_after = process.memory_info().rss
        after = run("after", calm_s, 0)
    orders = [row for row in loaded.requests if row.name == "order"]
    return Overload(
        drain_per_s=drain_per_s,
        statuses=Counter(row.status for row in orders),
        slowest_answer_s=max(_response_s(row, loaded) for row in orders),
        bystander_p99_s=_p99_s(loaded),
        calm_p99_s=(_p99_s(before), _p99_s(after)),
        deepest=max(depths),
        api_bytes=(bytes_before, bytes_after),
    )


def _drain_per_s(service: Service) -> float:
    """Let the slot do a few reports in a row, after one to warm up, and return its rate."""
    with httpx.Client(base_url=str(service.url), timeout=60, trust_env=False) as client:
        accepted = [client.post("/reports", json=REPORT).headers["Location"] for _ in range(9)]
        jobs = []
        for location in accepted:
            job = {"status": "queued"}
            while job["status"] not in {"done", "failed"}:
                job = client.get(location, headers={"Prefer": "wait=10"}).json()
            jobs.append(job)
    ends = [datetime.fromisoformat(job["finished_at"]) for job in jobs]
    return (len(ends) - 1) / (ends[-1] - ends[0]).total_seconds()


def _plan(url: str, length_s: float, orders_per_s: float) -> Plan:
    streams = [
        Stream(
            name="bystander",
            path="/ping",
            base_url=url,
            due_s=poisson(BYSTANDERS, length_s, f"{_SEED}/bystander"),
        )
    ]
    if orders_per_s:
        due_s = poisson(orders_per_s, length_s, f"{_SEED}/order")
        streams.append(
            Stream(
                name="order",
                method="POST",
                path="/reports",
                base_url=url,
                body=dict(REPORT),
                due_s=due_s,
                expect=frozenset({202, 503}),
            )
        )
    return Plan(streams=streams, duration_s=length_s, drain_s=_DRAIN_S, seed=_SEED)


@contextmanager
def _depths(redis_url: str) -> Iterator[list[int]]:
    """Look at the depth of the queue again and again while the block runs."""
    depths: list[int] = []
    stopping = threading.Event()

    def look() -> None:
        with Redis.from_url(redis_url) as redis:
            while not stopping.wait(_DEPTH_EVERY_S):
                depths.append(unfinished(redis).get(QUEUE, 0))

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield depths
    finally:
        stopping.set()
        looking.join()


def _response_s(row: RequestRow, log: RequestLog) -> float:
    return (log.deadline_s if row.done_s is None else row.done_s) - row.due_s


def _p99_s(log: RequestLog) -> float:
    response_ms = log.summary()["bystander"].response_ms
    if response_ms is None:
        raise SystemExit("no bystander was due")
    return response_ms.p99 / 1000


def main() -> int:
    """Measure; 0 if the promises hold."""
    began = time.monotonic()
    seen = measure(SECONDS, CALM_S, {})
    orders = ", ".join(f"{count} x {status}" for status, count in sorted(seen.statuses.items()))
    calm_s = max(seen.calm_p99_s)
    growth = seen.api_bytes[1] / seen.api_bytes[0]
    before, after = (f"{value * 1000:.1f}" for value in seen.calm_p99_s)
    print(f"one slot builds {seen.drain_per_s:.1f} reports/s; {OVERLOAD}x that for {SECONDS} s")
    print(f"orders answered:     {orders}")
    print(f"slowest answer:      {seen.slowest_answer_s * 1000:.0f} ms  (at most {ANSWER_S:g} s)")
    print(
        f"bystander p99:       {seen.bystander_p99_s * 1000:.1f} ms, calm {before} and {after} ms: "
        f"{seen.bystander_p99_s / calm_s:.2f}x  (at most {BYSTANDER_RATIO}x)"
    )
    print(f"deepest queue:       {seen.deepest}  (at most {QUEUE_LIMIT})")
    print(f"memory of the API:   {growth:.2f}x  (at most {MEMORY_GROWTH}x)")
    print(f"took {time.monotonic() - began:.0f} s")
    kept = (
        seen.statuses.keys() <= {202, 503}
        and seen.slowest_answer_s <= ANSWER_S
        and seen.bystander_p99_s <= BYSTANDER_RATIO * calm_s
        and seen.deepest <= QUEUE_LIMIT
        and growth <= MEMORY_GROWTH
    )
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
