"""Listing, cancelling and retrying jobs: by HTTP, and by `python -m workers`."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping

import httpx
import pytest
from redis import Redis

from offloop.stack.service import Service
from tests.shop import DAY, FIXED, ROOT, Shop, client_of, follow, open_shop, unwritable

pytestmark = pytest.mark.medium


@pytest.fixture(scope="module")
def idle(
    tmp_path_factory: pytest.TempPathFactory, data_set: Mapping[str, str]
) -> Iterator[tuple[Shop, Service]]:
    """A tier without slots, where nothing is retried by itself."""
    environment = {**data_set, "OFFLOOP_MAX_ATTEMPTS": "1"}
    with open_shop(tmp_path_factory.mktemp("idle"), environment) as shop:
        api = shop.api(FIXED)
        shop.stack.start(api, shop.housekeeping())
        yield shop, api


@pytest.fixture
def client(idle: tuple[Shop, Service]) -> Iterator[httpx.Client]:
    with Redis.from_url(idle[0].site.redis_url or "") as queues:
        queues.flushall()
    with client_of(idle[1]) as client:
        yield client


def order_one(client: httpx.Client) -> str:
    job_id: str = client.post("/reports", json=DAY).json()["job_id"]
    return job_id


def operate(shop: Shop, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "workers", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, "OFFLOOP_REDIS_URL": shop.site.redis_url or "", "COLUMNS": "200"},
    )


def test_pages_hold_every_job_once_and_newest_first(client: httpx.Client) -> None:
    ordered = [order_one(client) for _ in range(5)]

    seen: list[str] = []
    path = "/reports?limit=2"
    while path:
        page = client.get(path).json()
        seen += [job["job_id"] for job in page["jobs"]]
        order_one(client)  # what is new comes before, and shifts nothing
        path = page["next"]

    assert seen == ordered[::-1]


def test_every_answer_about_a_job_says_in_which_queue_it_is(client: httpx.Client) -> None:
    year = {**DAY, "shipped_to": "1996-02-29"}
    accepted = [client.post("/reports", json=spec) for spec in (DAY, year)]
    paths = [answer.headers["Location"] for answer in accepted]

    answers = [
        accepted,
        [client.get(path) for path in paths],
        [client.delete(path) for path in paths],
        [client.post(f"{path}/retry") for path in paths],
    ]

    for pair in answers:
        assert [answer.json()["queue"] for answer in pair] == ["short", "long"]
    assert [job["queue"] for job in client.get("/reports").json()["jobs"]] == ["long", "short"]


@pytest.mark.parametrize(
    ("query", "status"),
    [("limit=0", 422), ("limit=1000", 422), ("cursor=x", 422), (f"cursor={'0' * 32}", 404)],
)
def test_an_invalid_page_is_refused(client: httpx.Client, query: str, status: int) -> None:
    answer = client.get(f"/reports?{query}")

    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_a_queued_job_is_cancelled_and_leaves_the_queue(
    client: httpx.Client, idle: tuple[Shop, Service]
) -> None:
    job_id = order_one(client)

    cancelled = client.delete(f"/reports/{job_id}")

    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")
    assert client.get(f"/reports/{job_id}").json() == cancelled.json()
    with Redis.from_url(idle[0].site.redis_url or "") as queues:
        assert not queues.keys("dramatiq:short*")


def test_a_job_that_is_over_cannot_be_cancelled(client: httpx.Client) -> None:
    job_id = order_one(client)
    client.delete(f"/reports/{job_id}")

    assert client.delete(f"/reports/{job_id}").status_code == 409
    assert client.delete(f"/reports/{'0' * 32}").status_code == 404


def test_a_failed_job_is_done_when_it_is_tried_again(
    client: httpx.Client, idle: tuple[Shop, Service]
) -> None:
    shop, _ = idle
    shop.stack.start(shop.worker())
    with unwritable(shop.site.files / "fixed"):
        failed = follow(client, client.post("/reports", json=DAY))
    path = f"/reports/{failed['job_id']}"

    revived = client.post(f"{path}/retry")

    assert failed["status"] == "failed"
    assert (revived.status_code, revived.json()["problem"]) == (202, None)
    done = client.get(path, headers={"Prefer": "wait=30"}).json()
    assert (done["status"], done["attempt"]) == ("done", 2)
    assert client.post(f"{path}/retry").status_code == 409
    shop.stack.stop("worker-short-1")


def test_the_operator_commands_show_and_change_the_same_jobs(
    client: httpx.Client, idle: tuple[Shop, Service]
) -> None:
    shop, _ = idle
    job_id = order_one(client)

    listed = operate(shop, "list")
    cancelled = operate(shop, "cancel", job_id)
    again = operate(shop, "cancel", job_id)
    shown = operate(shop, "show", job_id)
    unknown = operate(shop, "show", "0" * 32)

    assert job_id in listed.stdout
    assert "queued" in listed.stdout
    assert cancelled.returncode == shown.returncode == 0
    assert '"status": "cancelled"' in shown.stdout
    assert again.returncode == unknown.returncode == 2
    assert "is cancelled; it would have to be queued" in again.stderr.replace("\n", " ")
    assert "there is no job" in unknown.stderr


def test_operators_are_told_that_no_callback_was_given_up(idle: tuple[Shop, Service]) -> None:
    shop, _ = idle

    listed = operate(shop, "callbacks")
    unknown = operate(shop, "redeliver", "no-such-event")

    assert (listed.returncode, unknown.returncode) == (0, 2)
    assert "given up" in listed.stdout
    assert "no-such-event" in unknown.stderr


def test_operators_are_told_of_settings_that_cannot_work(
    idle: tuple[Shop, Service], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OFFLOOP_CALLBACK_HOSTS", "example.test")

    listed = operate(idle[0], "list")

    assert listed.returncode == 2
    assert "OFFLOOP_WEBHOOK_SECRET" in listed.stderr
    assert "Traceback" not in listed.stderr
