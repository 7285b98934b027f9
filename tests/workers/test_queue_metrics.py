"""What housekeeping reads from a real broker."""

import asyncio
import time

import pytest
from prometheus_client import CollectorRegistry
from pydantic import RedisDsn
from redis import Redis

from offloop.stack.ports import free_port
from reports.spec import ReportSpec
from tests.shop import DAY
from workers.housekeeping.queue_metrics import QueueMetrics
from workers.queues import HEARTBEATS_KEY, slot_name
from workers.settings import TierSettings
from workers.store import JobStore

pytestmark = pytest.mark.medium

UP = "offloop_broker_up"


class Read:
    """One way to read the metrics of a tier."""

    def __init__(self, tier: TierSettings) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(QueueMetrics(tier))

    def __call__(self, name: str, **labels: str) -> float | None:
        return self._registry.get_sample_value(f"offloop_{name}", labels)


def beat(queues: Redis, slot: str, ago_s: float = 0.0) -> None:
    queues.zadd(HEARTBEATS_KEY, {slot: (time.time() - ago_s) * 1000})


def test_slots_are_counted_by_queue_while_their_hearts_beat(
    tier: TierSettings, queues: Redis
) -> None:
    beat(queues, slot_name(["short"]))
    beat(queues, slot_name(["short", "long"]))
    beat(queues, slot_name(["long"]), ago_s=tier.heartbeat_timeout_ms / 1000 + 1)
    beat(queues, "housekeeping-speaks-to-the-broker-too")

    read = Read(tier)

    assert read("worker_slots", queue="short") == 2
    assert read("worker_slots", queue="long") == 1


def test_that_no_slot_lives_is_known(tier: TierSettings) -> None:
    assert Read(tier)("worker_slots", queue="long") == 0


def test_open_jobs_stand_beside_the_limit(tier: TierSettings) -> None:
    async def accept() -> None:
        async with JobStore(tier) as store:
            await store.enqueue("a" * 32, ReportSpec.model_validate(DAY))

    asyncio.run(accept())
    read = Read(tier)

    assert read("queue_jobs_open", queue="short") == 1
    assert read("queue_jobs_open", queue="long") == 0
    assert read("queue_limit_jobs", queue="short") == tier.queue_limit
    assert read("broker_up") == 1


def test_of_a_broker_that_is_away_only_that_is_known() -> None:
    away = TierSettings(redis_url=RedisDsn(f"redis://127.0.0.1:{free_port()}/0"))
    read = Read(away)

    assert read("broker_up") == 0
    assert read("queue_messages", queue="short", state="ready") is None
    assert read("queue_jobs_open", queue="short") is None
    assert read("worker_slots", queue="short") is None
    assert read("queue_limit_jobs", queue="short") == away.queue_limit
