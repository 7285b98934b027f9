"""What is read is what real components have written."""

import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import httpx
import pytest

from offloop.bench.experiment import Arm
from offloop.bench.stage import Setting
from offloop.load.following import read_outcome
from offloop.measuring.instruments.effects import Entry, JobEffects, Served, look_at, read_ledger
from tests.shop import DAY, FIXED, Json, Shop, client_of, open_shop, order
from workers.ledger import Ledger


def charge(ledger: Path, job_id: str, request_ref: str, attempt: int = 1) -> None:
    entry_id = f"{job_id}-{attempt}"
    Ledger(ledger).charge(
        entry_id, job_id=job_id, request_ref=request_ref, attempt=attempt, amount=10
    )


def test_the_ledger_is_read_in_the_order_in_which_it_was_written(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.sqlite"
    charge(ledger, "b", "order-1")
    charge(ledger, "a", "order-2")
    charge(ledger, "b", "order-1", attempt=2)

    assert read_ledger(ledger) == [
        Entry("b", "order-1"),
        Entry("a", "order-2"),
        Entry("b", "order-1"),
    ]


def test_an_empty_ledger_differs_from_a_missing_one(tmp_path: Path) -> None:
    Ledger(tmp_path / "ledger.sqlite")

    assert read_ledger(tmp_path / "ledger.sqlite") == []
    assert read_ledger(tmp_path / "nowhere.sqlite") is None


@pytest.fixture(scope="module")
def tier(
    tmp_path_factory: pytest.TempPathFactory, data_set: dict[str, str]
) -> Iterator[tuple[Setting, Shop]]:
    """A tier of its own, with a ledger and files that nothing else writes to."""
    arm = Arm.model_validate(
        {
            "way": "fixed_app.reports",
            "server": "uvicorn",
            "tier": "workers.fixed",
            "pools": {"short": {"queues": ["short"], "slots": 1}},
        }
    )
    with open_shop(tmp_path_factory.mktemp("aftermath"), data_set) as shop:
        api, slot = shop.api(FIXED), shop.worker()
        shop.stack.start(api, slot)
        yield (
            Setting(
                shop.stack, (api, slot), api, (slot,), shop.site.redis_url, arm, shop.site, None
            ),
            shop,
        )


@pytest.fixture(scope="module")
def client(tier: tuple[Setting, Shop]) -> Iterator[httpx.Client]:
    with client_of(tier[0].api) as client:
        yield client


def file_of(job: Json, shop: Shop) -> Path:
    return shop.site.files / FIXED.files / f"{job['job_id']}.csv.gz"


@pytest.mark.medium
def test_a_job_is_read_through_the_api(tier: tuple[Setting, Shop], client: httpx.Client) -> None:
    job = order(client, DAY)

    found = look_at(tier[0].api, job["job_id"])

    assert (found.attempts, found.is_done) == (1, True)
    assert found.file is not None
    assert (found.file.size, found.file.sha256) == (job["result"]["bytes"], job["result"]["sha256"])


@pytest.mark.medium
def test_the_file_that_is_served_counts_and_not_its_record(
    tier: tuple[Setting, Shop], client: httpx.Client
) -> None:
    setting, shop = tier
    job = order(client, DAY)
    content = file_of(job, shop).read_bytes()[:-1]
    file_of(job, shop).write_bytes(content)

    found = look_at(setting.api, job["job_id"])

    assert found.file is not None
    assert found.file.sha256 == sha256(content).hexdigest() != job["result"]["sha256"]


@pytest.mark.medium
def test_a_file_that_is_not_served_is_absent(
    tier: tuple[Setting, Shop], client: httpx.Client
) -> None:
    setting, shop = tier
    job = order(client, DAY)
    file_of(job, shop).unlink()

    found = look_at(setting.api, job["job_id"])

    assert found.is_done
    assert found.file is None


@pytest.mark.medium
def test_a_job_that_the_api_does_not_know_is_not_done(tier: tuple[Setting, Shop]) -> None:
    job_id = "0" * 32

    assert look_at(tier[0].api, job_id) == Served(job_id, attempts=0, is_done=False, file=None)


@pytest.mark.medium
def test_all_jobs_of_the_block_count_and_no_earlier_ones(
    tier: tuple[Setting, Shop], client: httpx.Client
) -> None:
    setting, _ = tier
    earlier = order(client, DAY)
    whole = {earlier["result"]["sha256"]}
    effects = JobEffects(setting.api, setting.site.ledger, whole, setting.wait_until_empty)
    effects.__enter__()
    followed = order(client, DAY)
    accepted = client.post("/reports", json=DAY, headers={"Idempotency-Key": '"a-key"'})

    row = read_outcome(json.dumps(followed).encode()).row("report", 0.0, 1.0)
    found = effects.read([row])

    unfollowed = accepted.json()["job_id"]
    assert {job.job_id for job in found.jobs} == {followed["job_id"], unfollowed}
    assert all(job.is_done for job in found.jobs), "it waits until there is nothing left to do"
    assert found.entries is not None
    assert set(found.entries) == {
        Entry(followed["job_id"], followed["job_id"]),
        Entry(unfollowed, "a-key"),
    }
