"""What only the app with a job tier promises."""

import asyncio
import signal
import statistics
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from tests.shop import DAY, EVERYTHING, HANG_S, Shop, follow, order, slowest_ping, unwritable
from tests.waiting import wait_for

pytestmark = pytest.mark.medium

WORKER = "worker-short-1"


@contextmanager
def paused_worker(shop: Shop) -> Iterator[None]:
    shop.stack.signal(WORKER, signal.SIGSTOP)
    try:
        yield
    finally:
        shop.stack.signal(WORKER, signal.SIGCONT)


def test_a_report_in_a_worker_hardly_delays_a_bystander(fixed: httpx.Client) -> None:
    shares = [slowest_ping(fixed, EVERYTHING) for _ in range(3)]

    assert statistics.median(shares) < 0.5, shares


def test_a_job_that_waits_for_a_worker_is_queued_and_has_no_file(
    shop: Shop, fixed: httpx.Client
) -> None:
    with paused_worker(shop):
        accepted = fixed.post("/reports", json=DAY)
        path = accepted.headers["Location"]
        job = fixed.get(path).json()
        file = fixed.get(f"{path}/file")

    assert job == accepted.json()
    assert file.status_code == 409
    assert file.json()["type"] == "urn:offloop:problem:file-not-ready"
    assert "is queued" in file.json()["detail"]
    assert follow(fixed, accepted)["status"] == "done"


def test_one_request_can_wait_for_the_end_of_a_report(fixed: httpx.Client) -> None:
    path = fixed.post("/reports", json=EVERYTHING).headers["Location"]

    job = fixed.get(path, headers={"Prefer": "wait=30"}).json()

    assert job["status"] == "done"


def test_a_wait_that_times_out_answers_with_the_current_job(
    shop: Shop, fixed: httpx.Client
) -> None:
    with paused_worker(shop):
        accepted = fixed.post("/reports", json=DAY)
        job = fixed.get(accepted.headers["Location"], headers={"Prefer": "wait=1"}).json()

    assert job["status"] == "queued"
    follow(fixed, accepted)


@pytest.mark.parametrize("prefer", ["wait=soon", "wait=-1", "wait", "respond-async", ";;=,"])
def test_an_invalid_preference_is_ignored(fixed: httpx.Client, prefer: str) -> None:
    job = order(fixed, DAY)

    answer = fixed.get(f"/reports/{job['job_id']}", headers={"Prefer": prefer})

    assert (answer.status_code, answer.json()) == (200, job)


def test_a_request_for_an_unknown_report_does_not_wait(fixed: httpx.Client) -> None:
    # The client gives up before the wait would be over.
    answer = fixed.get(f"/reports/{'0' * 32}", headers={"Prefer": "wait=30"}, timeout=20)

    assert answer.status_code == 404


def test_a_job_that_fails_says_why_and_the_worker_goes_on(shop: Shop, fixed: httpx.Client) -> None:
    folder = shop.site.files / "fixed"
    before = set(folder.iterdir())
    with unwritable(folder):
        job = order(fixed, DAY)

    assert (job["status"], job["result"]) == ("failed", None)
    assert job["finished_at"] is not None
    assert job["problem"]["type"] == "urn:offloop:problem:report-failed"
    assert job["problem"]["status"] == 500
    assert set(folder.iterdir()) == before
    # The line is written after the record.
    [failed] = wait_for(lambda: shop.events(WORKER, event="job failed", job_id=job["job_id"]))
    assert "Traceback (most recent call last)" in failed["exception"]
    assert fixed.get(f"/reports/{job['job_id']}/file").status_code == 409
    assert order(fixed, DAY)["status"] == "done"


def test_a_file_that_is_no_longer_kept_is_gone(shop: Shop, fixed: httpx.Client) -> None:
    job_id = order(fixed, DAY)["job_id"]
    (shop.site.files / "fixed" / f"{job_id}.csv.gz").unlink()

    answer = fixed.get(f"/reports/{job_id}/file")

    assert answer.status_code == 410
    assert answer.json()["type"] == "urn:offloop:problem:file-gone"


def test_more_clients_than_broker_connections_are_all_answered(fixed: httpx.Client) -> None:
    path = f"/reports/{order(fixed, DAY)['job_id']}"

    async def read_all() -> list[httpx.Response]:
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(
            base_url=fixed.base_url, timeout=HANG_S, limits=limits, trust_env=False
        ) as client:
            return await asyncio.gather(*(client.get(path) for _ in range(400)))

    assert {answer.status_code for answer in asyncio.run(read_all())} == {200}
