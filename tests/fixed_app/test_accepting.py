"""Accepting: what an idempotency key promises, and when an order is refused."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from redis import Redis

from offloop.stack.service import Service
from tests.shop import DAY, FIXED, Shop, client_of, follow, open_shop

pytestmark = pytest.mark.medium

LIMIT = 3

#: A month: another request than a day.
MONTH = {**DAY, "shipped_to": "1995-03-31"}


def post(
    client: httpx.Client, key: str | None = None, spec: Mapping[str, str] = DAY
) -> httpx.Response:
    headers = {} if key is None else {"Idempotency-Key": key}
    return client.post("/reports", json=dict(spec), headers=headers)


def jobs(shop: Shop) -> int:
    """How many jobs are in the queue."""
    with Redis.from_url(shop.site.redis_url or "") as queues:
        return int(queues.hlen("dramatiq:reports.msgs"))


@pytest.fixture(scope="module")
def tier_and_api(
    tmp_path_factory: pytest.TempPathFactory, data_set: Mapping[str, str]
) -> Iterator[tuple[Shop, Service]]:
    """A tier whose queue holds few jobs, and that nobody works on."""
    limit = {"OFFLOOP_QUEUE_LIMIT": str(LIMIT)}
    with open_shop(tmp_path_factory.mktemp("small"), {**data_set, **limit}) as shop:
        api = shop.api(FIXED)
        shop.stack.start(api)
        yield shop, api


@pytest.fixture
def small(tier_and_api: tuple[Shop, Service]) -> Shop:
    """The tier, with nothing in it."""
    shop, _ = tier_and_api
    with Redis.from_url(shop.site.redis_url or "") as queues:
        queues.flushall()
    return shop


@pytest.fixture
def client(small: Shop, tier_and_api: tuple[Shop, Service]) -> Iterator[httpx.Client]:
    with client_of(tier_and_api[1]) as client:
        yield client


def test_the_same_key_and_body_give_the_same_job(client: httpx.Client, small: Shop) -> None:
    first, again = post(client, '"a-key"'), post(client, '"a-key"')

    assert first.status_code == again.status_code == 202
    assert first.headers["Location"] == again.headers["Location"]
    assert first.json() == again.json()
    assert jobs(small) == 1


def test_a_key_means_the_same_with_and_without_its_quotes(client: httpx.Client) -> None:
    assert post(client, "a-key").json() == post(client, '"a-key"').json()


def test_the_same_key_sent_at_the_same_time_gives_one_job(
    client: httpx.Client, small: Shop
) -> None:
    with ThreadPoolExecutor(16) as customers:
        answers = list(customers.map(lambda _: post(client, "a-key"), range(16)))

    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["job_id"] for answer in answers}) == 1
    assert jobs(small) == 1


def test_the_same_key_with_another_body_is_refused(client: httpx.Client, small: Shop) -> None:
    post(client, "a-key")

    refused = post(client, "a-key", MONTH)

    assert refused.status_code == 422
    assert refused.json()["type"] == "urn:offloop:problem:idempotency-key-reused"
    assert jobs(small) == 1


@pytest.mark.parametrize("key", ["", '"', '"half', "two words", "x" * 256, '""'])
def test_a_malformed_key_is_a_400_and_nothing_is_accepted(
    client: httpx.Client, small: Shop, key: str
) -> None:
    refused = post(client, key)

    assert refused.status_code == 400
    assert refused.json()["type"] == "urn:offloop:problem:idempotency-key-malformed"
    assert jobs(small) == 0


def test_keys_expire_before_the_jobs_that_they_stand_for(client: httpx.Client, small: Shop) -> None:
    job_id = post(client, "a-key").json()["job_id"]

    with Redis.from_url(f"{small.site.redis_url}/1") as records:
        assert 0 < records.ttl("idempotency:a-key") <= records.ttl(f"job:{job_id}")


def test_orders_beyond_the_limit_are_refused_until_there_is_room(
    client: httpx.Client, small: Shop
) -> None:
    accepted = [post(client) for _ in range(LIMIT)]
    refused = post(client)

    assert [answer.status_code for answer in accepted] == [202] * LIMIT
    assert refused.status_code == 503
    assert refused.json()["type"] == "urn:offloop:problem:queue-full"
    assert int(refused.headers["Retry-After"]) >= 1
    assert jobs(small) == LIMIT

    small.stack.start(small.worker())
    for answer in accepted:
        assert follow(client, answer)["status"] == "done"
    again = post(client)
    assert again.status_code == 202
    assert follow(client, again)["status"] == "done"
    small.stack.stop("worker-reports-1")


def test_a_burst_is_accepted_up_to_the_limit_and_no_further(
    client: httpx.Client, small: Shop
) -> None:
    with ThreadPoolExecutor(16) as customers:
        answers = list(customers.map(lambda _: post(client), range(16)))

    statuses = [answer.status_code for answer in answers]
    assert statuses.count(202) == LIMIT
    assert statuses.count(503) == 16 - LIMIT
    assert jobs(small) == LIMIT


def test_a_replay_is_answered_even_when_the_queue_is_full(client: httpx.Client) -> None:
    first = post(client, "a-key")
    for _ in range(LIMIT):
        post(client)

    assert post(client, "a-key").json()["job_id"] == first.json()["job_id"]


def test_a_refused_order_leaves_its_key_unused(client: httpx.Client) -> None:
    for _ in range(LIMIT):
        post(client)
    assert post(client, "a-key").status_code == 503

    assert post(client, "a-key", MONTH).status_code == 503  # not 422
