"""What the app that does the work in the request gets right, and what it cannot."""

import statistics

import httpx
import pytest

from tests.shop import (
    DAY,
    EVERYTHING,
    NAIVE,
    Shop,
    client_of,
    order,
    slowest_ping,
    unwritable,
    wait_for,
)

pytestmark = pytest.mark.medium


def test_a_report_in_the_request_makes_a_bystander_wait_for_most_of_it(
    naive: httpx.Client,
) -> None:
    shares = [slowest_ping(naive, EVERYTHING) for _ in range(3)]

    assert statistics.median(shares) >= 0.5, shares


def test_finished_reports_are_seen_by_another_process_and_survive_a_restart(
    shop: Shop, naive: httpx.Client
) -> None:
    first = order(naive, DAY)
    service = shop.api(NAIVE, name="naive-2")
    shop.stack.start(service)
    with client_of(service) as other:
        assert other.get(f"/reports/{first['job_id']}").json() == first
        second = order(other, DAY)
        path = f"/reports/{second['job_id']}"
        content = other.get(f"{path}/file").content

        shop.stack.restart("naive-2")

        assert other.get(path).json() == second
        assert other.get(f"{path}/file").content == content
        assert naive.get(path).json() == second
    shop.stack.stop("naive-2")


def test_a_report_that_cannot_be_written_is_a_problem_and_leaves_nothing(
    shop: Shop, naive: httpx.Client
) -> None:
    folder = shop.site.files / "naive"
    before = set(folder.iterdir())
    with unwritable(folder):
        answer = naive.post("/reports", json=DAY)

    assert answer.status_code == 500
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["title"] == "Internal Server Error"
    assert "NotADirectoryError" not in answer.text
    wait_for(lambda: "NotADirectoryError" in shop.log("naive"))
    assert set(folder.iterdir()) == before
    assert order(naive, DAY)["status"] == "done"


def test_a_file_that_is_no_longer_kept_is_gone(shop: Shop, naive: httpx.Client) -> None:
    job_id = order(naive, DAY)["job_id"]
    (shop.site.files / "naive" / f"{job_id}.csv.gz").unlink()

    answer = naive.get(f"/reports/{job_id}/file")

    assert answer.status_code == 410
    assert answer.json()["type"] == "urn:offloop:problem:file-gone"
