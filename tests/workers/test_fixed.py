"""A real worker: what it does with messages that it should not act on."""

import httpx
import pytest

from tests.shop import DAY, Shop, deliver, follow, order, wait_for

pytestmark = pytest.mark.medium


def test_a_message_delivered_again_does_not_do_the_job_again(
    shop: Shop, fixed: httpx.Client
) -> None:
    job = order(fixed, DAY)
    file = shop.site.files / "fixed" / f"{job['job_id']}.csv.gz"
    before = file.stat()

    deliver(shop, job["job_id"])

    assert fixed.get(f"/reports/{job['job_id']}").json() == job
    assert (file.stat().st_ino, file.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_message_for_a_job_that_is_forgotten_does_nothing(
    shop: Shop, fixed: httpx.Client
) -> None:
    deliver(shop, "f" * 32)

    assert fixed.get(f"/reports/{'f' * 32}").status_code == 404
    assert order(fixed, DAY)["status"] == "done"


def test_the_log_tells_the_life_of_a_job_by_the_request_that_ordered_it(
    shop: Shop, fixed: httpx.Client
) -> None:
    answer = fixed.post("/reports", json=DAY, headers={"X-Request-Id": "from-the-client"})
    job = follow(fixed, answer)
    same = {"job_id": job["job_id"], "request_id": "from-the-client"}

    wait_for(lambda: shop.events("worker-short-1", event="job completed", **same))

    assert [event["event"] for event in shop.events("fixed", **same)] == ["report ordered"]
    worked = shop.events("worker-short-1", **same, attempt=1, queue="short")
    assert [event["event"] for event in worked] == ["job started", "job completed"]


def test_what_is_logged_between_jobs_belongs_to_none(shop: Shop, fixed: httpx.Client) -> None:
    first, second = order(fixed, DAY), order(fixed, DAY)

    done = [
        wait_for(
            lambda job=job: shop.events(  # type: ignore[misc]
                "worker-short-1", event="job completed", job_id=job["job_id"]
            )
        )
        for job in (first, second)
    ]

    requests = [events[0]["request_id"] for events in done]
    assert len(set(requests)) == 2
    assert not shop.events("worker-short-1", event="Worker process is ready for action.", attempt=1)
