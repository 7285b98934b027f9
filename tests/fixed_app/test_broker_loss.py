"""A `202` is a promise, and without a broker nothing is promised."""

import signal
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from redis import Redis

from tests.shop import DAY, FINAL, FIXED, Shop, client_of, follow, open_shop, order, wait_for
from workers.settings import TierSettings

pytestmark = pytest.mark.medium

#: Seconds the API waits for the broker here, and the guard: five times that.
DEADLINE_S = 1.0
GUARD_S = 5 * DEADLINE_S

JOBS = 20


@pytest.fixture(scope="module")
def fragile(
    tmp_path_factory: pytest.TempPathFactory, data_set: Mapping[str, str]
) -> Iterator[Shop]:
    """A broker on a stack of its own, and no worker yet."""
    environment = {**data_set, "OFFLOOP_BROKER_DEADLINE_S": str(DEADLINE_S)}
    with open_shop(tmp_path_factory.mktemp("logs"), environment) as shop:
        yield shop


@pytest.fixture(scope="module")
def client(fragile: Shop) -> Iterator[httpx.Client]:
    service = fragile.api(FIXED)
    fragile.stack.start(service, fragile.housekeeping())
    with client_of(service) as client:
        yield client


def kill(shop: Shop, *names: str) -> None:
    """End services as a power cut would, and see them gone."""
    for name in names:
        shop.stack.signal(name, signal.SIGKILL)
    wait_for(lambda: not set(names) & set(shop.stack.pids()))


def test_accepted_jobs_survive_the_sudden_death_of_the_broker_and_the_api(
    fragile: Shop, client: httpx.Client
) -> None:
    with ThreadPoolExecutor(JOBS) as customers:
        accepted = list(customers.map(lambda _: client.post("/reports", json=DAY), range(JOBS)))
    assert {answer.status_code for answer in accepted} == {202}

    kill(fragile, "fixed", "redis")
    fragile.stack.restart("redis")
    fragile.stack.restart("fixed")
    fragile.stack.start(fragile.worker())

    jobs = [follow(client, answer) for answer in accepted]
    assert {job["status"] for job in jobs} == {"done"}
    assert {job["attempt"] for job in jobs} == {1}
    assert len({job["job_id"] for job in jobs}) == JOBS


def assert_says_that_the_broker_is_away(client: httpx.Client, job_id: str) -> None:
    answers = [
        client.post("/reports", json=DAY, timeout=GUARD_S),
        client.get("/health/ready", timeout=GUARD_S),
        client.get(f"/reports/{job_id}", timeout=GUARD_S),
        client.get(f"/reports/{job_id}", headers={"Prefer": "wait=30"}, timeout=GUARD_S),
        client.get(f"/reports/{job_id}/file", timeout=GUARD_S),
    ]

    for answer in answers:
        assert answer.status_code == 503, answer.request
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.json()["type"] == "urn:offloop:problem:broker-unavailable"
        assert int(answer.headers["Retry-After"]) >= 1
    assert client.get("/ping").status_code == 200
    assert client.get("/health/live").status_code == 200


def assert_works_again(client: httpx.Client) -> None:
    wait_for(lambda: client.get("/health/ready").status_code == 200)
    assert order(client, DAY)["status"] == "done"


@pytest.fixture
def working(fragile: Shop, client: httpx.Client) -> httpx.Client:
    """The client of an API that has a worker."""
    worker = fragile.worker()
    if worker.name not in fragile.stack.pids():
        fragile.stack.start(worker)
    return client


def test_a_broker_that_stalls_is_a_503_within_the_deadline(
    fragile: Shop, working: httpx.Client
) -> None:
    job_id = order(working, DAY)["job_id"]

    fragile.stack.signal("redis", signal.SIGSTOP)
    try:
        assert_says_that_the_broker_is_away(working, job_id)
    finally:
        fragile.stack.signal("redis", signal.SIGCONT)

    assert_works_again(working)


def test_a_broker_that_stalls_holds_up_no_bystander(fragile: Shop, working: httpx.Client) -> None:
    fragile.stack.signal("redis", signal.SIGSTOP)
    try:
        with ThreadPoolExecutor(8) as customers:
            orders = [customers.submit(working.post, "/reports", json=DAY) for _ in range(8)]
            # None of the orders can be answered before its deadline, these must be.
            pings = [working.get("/ping").status_code for _ in range(5)]
            unanswered = not any(order.done() for order in orders)
            statuses = {order.result().status_code for order in orders}
    finally:
        fragile.stack.signal("redis", signal.SIGCONT)

    assert unanswered
    assert set(pings) == {200}
    assert statuses == {503}
    assert_works_again(working)


def test_a_broker_that_died_is_a_503_until_it_is_back(fragile: Shop, working: httpx.Client) -> None:
    job = order(working, DAY)

    kill(fragile, "redis")
    assert_says_that_the_broker_is_away(working, job["job_id"])
    fragile.stack.restart("redis")

    assert_works_again(working)
    assert working.get(f"/reports/{job['job_id']}").json() == job


def test_a_broker_that_is_full_is_a_503_and_nothing_is_half_accepted(
    fragile: Shop, working: httpx.Client
) -> None:
    """It evicts nothing, so it refuses; the script writes all or nothing."""
    order(working, DAY)
    settings = TierSettings.model_validate({"redis_url": fragile.site.redis_url})
    queue = ("dramatiq:short", "dramatiq:short.msgs")
    with (
        Redis.from_url(settings.records_url) as records,
        Redis.from_url(str(settings.redis_url)) as queues,
    ):
        wait_for(lambda: not queues.exists(*queue))  # the worker acknowledges after it finishes
        before = records.dbsize()
        records.config_set("maxmemory", "1")
        answer = working.post("/reports", json=DAY)
        records.config_set("maxmemory", "0")

        assert answer.status_code == 503
        assert "maxmemory" in answer.json()["detail"]
        assert records.dbsize() == before
        assert not queues.exists(*queue)
    assert_works_again(working)


def test_a_request_that_waits_outlives_a_restart_of_the_broker_or_says_503(
    fragile: Shop, client: httpx.Client
) -> None:
    """It never hangs, and never answers with something else."""
    name = fragile.worker().name
    if name in fragile.stack.pids():
        fragile.stack.stop(name)
    accepted = client.post("/reports", json=DAY)
    with ThreadPoolExecutor(1) as customers:
        waiting = customers.submit(
            client.get, accepted.headers["Location"], headers={"Prefer": "wait=30"}
        )
        kill(fragile, "redis")
        fragile.stack.restart("redis")
        fragile.stack.start(fragile.worker())
        answer = waiting.result()

    assert answer.status_code == 503 or answer.json()["status"] in FINAL
    assert follow(client, accepted)["status"] == "done"
