import os
from dataclasses import replace
from pathlib import Path

import pytest

from offloop.stack import catalog
from offloop.stack.pools import STANDARD_POOLS, Pool
from offloop.stack.supervisor import GRACE_S
from tests.shop import EVERYTHING, FIXED, client_of, open_shop
from tests.waiting import wait_for

SITE = catalog.Site(Path("/checkout"), Path("/files"), "redis://127.0.0.1:1/0")

BOTH = Pool(queues=("short", "long"), slots=3, nice=7, prefetch=2)


def option(command: tuple[str, ...], name: str) -> str:
    return command[command.index(name) + 1]


def test_slots_are_named_by_their_pool_and_counted_from_1() -> None:
    services = catalog.workers({**STANDARD_POOLS, "all": BOTH}, catalog.STANDARD_TIER, SITE)

    assert [service.name for service in services] == [
        "worker-short-1", "worker-long-1", "worker-all-1", "worker-all-2", "worker-all-3",
    ]  # fmt: skip


@pytest.mark.parametrize("tier", catalog.TIERS)
def test_a_slot_is_one_process_with_one_thread_on_the_queues_of_its_pool(tier: str) -> None:
    slot = catalog.worker("all", 2, BOTH, tier, SITE)

    assert slot.command[1:4] == ("-m", "dramatiq", tier)
    assert option(slot.command, "--processes") == option(slot.command, "--threads") == "1"
    assert slot.command[slot.command.index("--queues") + 1 :] == ("short", "long")
    assert slot.env["dramatiq_queue_prefetch"] == "2"
    assert slot.nice == 7


def test_the_slots_of_a_pool_share_nothing_but_their_queues() -> None:
    one, other, _ = catalog.workers({"all": BOTH}, catalog.STANDARD_TIER, SITE)

    assert one.metrics_url != other.metrics_url
    assert one.command == other.command


def test_a_slot_has_a_shorter_grace_period_than_the_supervisor() -> None:
    slot = catalog.worker("all", 1, BOTH, catalog.STANDARD_TIER, SITE)
    grace_s = float(slot.env["OFFLOOP_SHUTDOWN_GRACE_S"])
    dramatiq_s = int(option(slot.command, "--worker-shutdown-timeout")) / 1000

    # Dramatiq looks once a second whether it was told to stop.
    assert 0 < grace_s < dramatiq_s <= GRACE_S - 1


@pytest.mark.medium
def test_a_slot_that_is_stopped_hands_its_job_back_before_it_would_be_killed(
    tmp_path: Path,
) -> None:
    # At this scale the largest report takes several times as long as a slot has.
    with open_shop(tmp_path / "logs", {"OFFLOOP_SCALE_FACTOR": "0.1"}) as shop:
        api, slot = shop.api(FIXED), shop.worker("long")
        shop.stack.start(api, slot)
        with client_of(api) as client:
            path = client.post("/reports", json=EVERYTHING).headers["Location"]
            wait_for(lambda: client.get(path).json()["status"] == "running")

            shop.stack.stop(slot.name)

            assert "Worker has been shut down" in shop.log(slot.name)
            assert client.get(path).json()["status"] == "queued"


def test_all_services_of_a_site_share_its_ledger_and_its_failpoints() -> None:
    site = catalog.Site(SITE.root, SITE.files, SITE.redis_url, failpoints=Path("/failpoints.sock"))
    services = (
        *(catalog.api(way, site) for way in catalog.WAYS.values()),
        *catalog.workers(STANDARD_POOLS, catalog.STANDARD_TIER, site),
        catalog.housekeeping(site),
    )

    assert {service.env["OFFLOOP_LEDGER_PATH"] for service in services} == {"/files/ledger.sqlite"}
    assert {service.env["OFFLOOP_FAILPOINTS"] for service in services} == {"/failpoints.sock"}


@pytest.mark.parametrize(("module", "way"), catalog.WAYS.items(), ids=catalog.WAYS.keys())
def test_an_app_and_its_workers_share_a_folder_of_files(module: str, way: catalog.Way) -> None:
    slot = catalog.worker("all", 1, BOTH, catalog.STANDARD_TIER, SITE)
    api = catalog.api(way, SITE)

    same = api.env["OFFLOOP_FILES_DIR"] == slot.env["OFFLOOP_FILES_DIR"]

    assert same == way.has_tier
    assert api.command[3].startswith(module.rpartition(".")[0])


def test_the_way_of_a_service_is_the_app_that_it_is_named_after() -> None:
    named = {way.service: way.app for way in catalog.WAYS.values()}

    assert named == {"naive": "naive_app.main:app", "fixed": "fixed_app.main:app"}


def test_without_a_failpoint_server_no_steps_are_announced() -> None:
    assert "OFFLOOP_FAILPOINTS" not in catalog.housekeeping(SITE).env


def test_the_checkout_comes_first_on_the_path_of_a_service() -> None:
    assert catalog.housekeeping(SITE).env["PYTHONPATH"].split(os.pathsep)[0] == "/checkout"


def test_a_queue_limit_is_passed_on_and_the_tier_has_a_default() -> None:
    way = catalog.WAYS["fixed_app.reports"]

    limited = catalog.api(way, replace(SITE, queue_limit=10))

    assert limited.env["OFFLOOP_QUEUE_LIMIT"] == "10"
    assert "OFFLOOP_QUEUE_LIMIT" not in catalog.api(way, SITE).env
    assert set(catalog.WAYS) > catalog.WAYS_WITH_LIMIT


def test_a_site_without_keys_tells_all_its_services() -> None:
    keyless = replace(SITE, knows_keys=False)
    way = catalog.WAYS["fixed_app.reports"]

    assert catalog.api(way, keyless).env["OFFLOOP_IDEMPOTENCY_KEYS"] == "false"
    assert "OFFLOOP_IDEMPOTENCY_KEYS" not in catalog.api(way, SITE).env
    assert set(catalog.TIERS) > catalog.TIERS_WITHOUT_KEYS
    assert catalog.STANDARD_TIER not in catalog.TIERS_WITHOUT_KEYS
