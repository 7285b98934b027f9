"""What happens to a job that does not come to an end: real slots, kept up by a real keeper."""

import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import httpx
import pytest

from offloop.stack.keeper import Keeper
from offloop.stack.service import Service
from tests.shop import (
    DAY,
    EVERYTHING,
    FIXED,
    Shop,
    client_of,
    follow,
    open_shop,
    unwritable,
    wait_for,
)

SHORT, LONG = "worker-short-1", "worker-long-1"


@contextmanager
def kept_shop(
    logs: Path, environment: Mapping[str, str], long_only: Mapping[str, str] = MappingProxyType({})
) -> Iterator[tuple[Shop, httpx.Client, list[str]]]:
    """A whole tier whose slots are started again when they die; and what the keeper has told."""
    told: list[str] = []
    stopping = threading.Event()
    with open_shop(logs, environment) as shop:
        api: Service = shop.api(FIXED)
        shop.stack.start(api, shop.housekeeping())
        short, long = shop.workers()
        long = replace(long, env={**long.env, **long_only})
        keeper = Keeper(shop.stack, (short, long), told.append)
        keeper.start()

        def keep() -> None:
            while not stopping.wait(0.1):
                keeper.look()

        keeping = threading.Thread(target=keep)
        keeping.start()
        try:
            with client_of(api) as client:
                yield shop, client, told
        finally:
            stopping.set()
            keeping.join()


@pytest.mark.medium
def test_a_job_is_tried_again_when_the_reason_it_failed_for_may_pass(
    tmp_path: Path, data_set: Mapping[str, str]
) -> None:
    environment = {**data_set, "OFFLOOP_FIRST_RETRY_S": "0.1", "OFFLOOP_MAX_ATTEMPTS": "50"}
    with kept_shop(tmp_path, environment) as (shop, client, told):
        with unwritable(shop.site.files / "fixed"):
            accepted = client.post("/reports", json=DAY)
            wait_for(lambda: "job put off" in shop.log(SHORT))
            put_off = client.get(accepted.headers["Location"]).json()
        job = follow(client, accepted)

    assert put_off["problem"] is None
    assert job["status"] == "done"
    assert job["attempt"] >= 2
    assert told == []


@pytest.mark.slow
def test_a_job_that_outlasts_every_attempt_is_given_up_and_the_slot_lives_on(
    tmp_path: Path, data_set: Mapping[str, str]
) -> None:
    environment = {**data_set, "OFFLOOP_MAX_ATTEMPTS": "2"}
    limit = {"OFFLOOP_JOB_TIME_LIMIT_S": "0.1"}
    with kept_shop(tmp_path, environment, long_only=limit) as (_, client, told):
        job = follow(client, client.post("/reports", json=EVERYTHING))
        other = follow(client, client.post("/reports", json=DAY))
        wait_for(lambda: told.count(f"{LONG} is up again") == 2)

    assert (job["status"], job["attempt"]) == ("failed", 3)
    assert job["problem"]["type"] == "urn:offloop:problem:too-many-attempts"
    assert other["status"] == "done"
    assert len([line for line in told if line.startswith(f"{LONG} exited")]) == 2


@pytest.mark.slow
def test_a_slot_that_loses_its_broker_ends_itself_and_its_job_is_not_lost(
    tmp_path: Path, data_set: Mapping[str, str]
) -> None:
    with kept_shop(tmp_path, data_set) as (shop, client, told):
        accepted = client.post("/reports", json=EVERYTHING)
        wait_for(lambda: client.get(accepted.headers["Location"]).json()["status"] == "running")

        shop.stack.signal("redis", signal.SIGKILL)
        wait_for(lambda: any(line.startswith(f"{LONG} exited") for line in told))
        shop.stack.restart("redis")
        job = follow(client, accepted)

    assert (job["status"], job["attempt"]) == ("done", 2)
