"""The apps and the job tier as the lab starts them, on a data set that is quick to build."""

import json
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import httpx
from redis import Redis

from offloop.stack import catalog
from offloop.stack.pools import STANDARD_POOLS
from offloop.stack.ports import free_port
from offloop.stack.redis import embedded_redis
from offloop.stack.service import HttpOk, Service
from offloop.stack.supervisor import Stack
from tests import waiting
from workers.attempts import Delivery
from workers.messages import build_report_message
from workers.queues import Queue, held_key, queue_key
from workers.records import record_key
from workers.settings import TierSettings

ROOT = Path(__file__).resolve().parents[1]

#: For tests of the services, which take all that they need from here.
HANG_S = waiting.HANG_S
wait_for = waiting.wait_for

#: Seconds after which a client does not use a connection again. The servers close it after 5, and a
#: request that is on its way just then is lost.
IDLE_LIMIT_S = 1.0

NAIVE = catalog.WAYS["naive_app.reports"]
FIXED = catalog.WAYS["fixed_app.reports"]

FINAL = {"done", "failed", "cancelled"}

#: A report that takes no time to speak of, and the largest there is: the one is built by the slot
#: `worker-short-1`, the other by `worker-long-1`.
DAY = {"shipped_from": "1995-03-01", "shipped_to": "1995-03-01", "format": "csv"}
EVERYTHING = {"shipped_from": "1992-01-02", "shipped_to": "1998-12-01", "format": "csv"}

Json = dict[str, Any]


@dataclass(frozen=True)
class Shop:
    """One stack, and the services that tests start in it."""

    stack: Stack
    site: catalog.Site
    environment: Mapping[str, str]

    def api(self, way: catalog.Way, name: str | None = None) -> Service:
        service = self._here(catalog.api(way, self.site))
        return replace(service, name=name or service.name)

    def workers(self, tier: str = catalog.STANDARD_TIER) -> tuple[Service, ...]:
        """The standard pools."""
        return tuple(map(self._here, catalog.workers(STANDARD_POOLS, tier, self.site)))

    def worker(
        self, pool: str = "short", number: int = 1, tier: str = catalog.STANDARD_TIER
    ) -> Service:
        """One slot of a standard pool."""
        return self._here(catalog.worker(pool, number, STANDARD_POOLS[pool], tier, self.site))

    def housekeeping(self) -> Service:
        return self._here(catalog.housekeeping(self.site))

    def load(self, app: Service, *options: str) -> Service:
        """Locust, which sends a load to an app and serves its clients' view."""
        port = free_port()
        metrics_url = f"http://127.0.0.1:{port}/metrics"
        service = Service(
            name=f"load-{app.name}",
            command=(
                *(sys.executable, "-m", "locust", "-f", str(ROOT / "loadtests" / "locustfile.py")),
                *("--headless", "--host", str(app.url), *options),
            ),
            env=self.site.environment(port, files="load"),
            ready=HttpOk(metrics_url),
            metrics_urls=(metrics_url,),
        )
        return self._here(service)

    def log(self, service: str) -> str:
        return (self.stack.log_dir / f"{service}.log").read_text()

    def events(self, service: str, **fields: object) -> list[Json]:
        """The lines of a service's log that have these fields, in their order."""
        # Dramatiq's main process, which imports nothing of ours, writes in its own format.
        lines = [line for line in self.log(service).splitlines() if line.startswith("{")]
        return [
            event
            for event in map(json.loads, lines)
            if all(event.get(name) == value for name, value in fields.items())
        ]

    def _here(self, service: Service) -> Service:
        return replace(service, env={**service.env, **self.environment})


@contextmanager
def open_shop(logs: Path, environment: Mapping[str, str]) -> Iterator[Shop]:
    """A stack of its own, with a broker: for tests that break things."""
    with Stack(logs) as stack:
        broker = embedded_redis(stack.folder / "redis", free_port())
        stack.start(broker)
        yield Shop(stack, catalog.Site(ROOT, stack.folder / "files", broker.url), environment)


def client_of(service: Service) -> httpx.Client:
    """A client without a proxy, and with a timeout that only a hanging server meets."""
    assert service.url is not None
    limits = httpx.Limits(keepalive_expiry=IDLE_LIMIT_S)
    return httpx.Client(base_url=service.url, timeout=HANG_S, trust_env=False, limits=limits)


def order(client: httpx.Client, spec: Mapping[str, str]) -> Json:
    """Order a report and return it when it is finished, whichever app is asked."""
    answer = client.post("/reports", json=dict(spec))
    assert answer.status_code in {201, 202}, answer.text
    return answer.json() if answer.status_code == 201 else follow(client, answer)


def follow(client: httpx.Client, accepted: httpx.Response) -> Json:
    """Follow a `202` to the end of its job."""
    location = accepted.headers["Location"]

    def finished() -> Json | None:
        answer = client.get(location, headers={"Prefer": "wait=10"})
        assert answer.status_code == 200, answer.text
        job: Json = answer.json()
        return job if job["status"] in FINAL else None

    return wait_for(finished)


def slowest_ping(client: httpx.Client, spec: Mapping[str, str]) -> float:
    """The slowest `/ping` while a report is made, as a share of the time the report took.

    With a pause after each, or the pings themselves would starve the worker.
    """
    with ThreadPoolExecutor(1) as customer:
        begin = time.monotonic()
        report = customer.submit(lambda: (order(client, spec), time.monotonic() - begin))
        slowest = 0.0
        while not wait([report], timeout=0.02).done:
            sent = time.monotonic()
            assert client.get("/ping").status_code == 200
            slowest = max(slowest, time.monotonic() - sent)
        return slowest / report.result()[1]


@contextmanager
def unwritable(folder: Path) -> Iterator[None]:
    """Put a file where a folder was: root may write into any folder."""
    aside = folder.with_name(f"{folder.name}-aside")
    folder.rename(aside)
    folder.touch()
    try:
        yield
    finally:
        folder.unlink()
        aside.rename(folder)


def disconnect_others(redis: Redis) -> None:
    """Close the connections of all other clients that use the same database, and see them gone."""
    mine = redis.client_id()
    database = str(redis.connection_pool.connection_kwargs["db"])

    def others() -> set[str]:
        clients = redis.client_list()
        return {c["id"] for c in clients if c["db"] == database and int(c["id"]) != mine}

    connected = others()
    for client in connected:
        redis.client_kill_filter(_id=client)
    wait_for(lambda: not connected & others())


def hold(tier: TierSettings, job_id: str, slot: str = "a-slot") -> Delivery:
    """The message of a job, in the hands of a slot."""
    with Redis.from_url(tier.records_url) as records, Redis.from_url(str(tier.redis_url)) as queues:
        record = read_record(records, job_id)
        queues.sadd(held_key(slot, record["queue"]), record["message_id"])
        return Delivery(record["message_id"], slot)


def deliver(shop: Shop, job_id: str) -> None:
    """Queue a message for a short job, and return when a worker is through with it."""
    message, queue = build_report_message(job_id, Queue.SHORT), queue_key(Queue.SHORT)
    with Redis.from_url(shop.site.redis_url or "") as queues:
        queues.hset(f"{queue}.msgs", message.options["redis_message_id"], message.encode())
        queues.rpush(queue, message.options["redis_message_id"])
        wait_for(lambda: not queues.exists(f"{queue}.msgs"))
        assert not queues.exists(f"{queue}.XQ")


def read_record(records: Redis, job_id: str) -> dict[str, str]:
    """The record of a job, as text."""
    raw = cast("dict[bytes, bytes]", records.hgetall(record_key(job_id)))
    return {name.decode(): value.decode() for name, value in raw.items()}
