"""Housekeeping as a real process, beside real slots."""

import signal
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from offloop.stack.service import Service
from tests.shop import EVERYTHING, FIXED, Shop, client_of, follow, open_shop, wait_for

pytestmark = pytest.mark.medium

DEPTH = 'offloop_queue_messages{queue="long",state="ready"}'


@dataclass(frozen=True)
class Tier:
    shop: Shop
    client: httpx.Client
    housekeeping: Service

    def metrics(self) -> str:
        assert self.housekeeping.metrics_url is not None
        return httpx.get(self.housekeeping.metrics_url, trust_env=False).text

    def status(self, job: httpx.Response) -> str:
        status: str = self.client.get(job.headers["Location"]).json()["status"]
        return status


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory, data_set: Mapping[str, str]) -> Iterator[Tier]:
    """A tier with housekeeping, and no slot yet."""
    logs: Path = tmp_path_factory.mktemp("housekeeping")
    with open_shop(logs, data_set) as shop:
        service = shop.api(FIXED)
        housekeeping = shop.housekeeping()
        shop.stack.start(service, housekeeping)
        with client_of(service) as client:
            yield Tier(shop, client, housekeeping)


def test_the_depth_of_a_queue_is_exposed(kept: Tier) -> None:
    before = kept.metrics()
    kept.client.post("/reports", json=EVERYTHING)

    assert f"{DEPTH} 0.0" in before
    assert "offloop_queue_oldest_message_age_seconds{" not in before
    assert f"{DEPTH} 1.0" in kept.metrics()
    assert "offloop_queue_oldest_message_age_seconds{" in kept.metrics()


def test_a_job_of_a_slot_that_was_killed_is_finished_by_another(kept: Tier) -> None:
    stack = kept.shop.stack
    stack.start(kept.shop.worker("long", 1))
    accepted = kept.client.post("/reports", json=EVERYTHING)
    wait_for(lambda: kept.status(accepted) == "running")

    stack.signal("worker-long-1", signal.SIGKILL)
    stack.start(kept.shop.worker("long", 2))
    job = follow(kept.client, accepted)

    assert job["status"] == "done"
    assert job["attempt"] == 2


def test_a_depth_that_cannot_be_read_is_absent_and_not_0(kept: Tier) -> None:
    kept.shop.stack.signal("redis", signal.SIGKILL)

    wait_for(lambda: "offloop_queue_messages{" not in kept.metrics())
    assert "process_cpu_seconds_total" in kept.metrics()

    kept.shop.stack.restart("redis")
    wait_for(lambda: "offloop_queue_messages{" in kept.metrics())
