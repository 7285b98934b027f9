"""Accepting: what an idempotency key promises, and when an order is refused."""

from base64 import b64encode
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from redis import Redis

from offloop.stack.service import Service
from reports.spec import ReportSpec
from tests.shop import DAY, FIXED, Shop, client_of, follow, open_shop, read_record

pytestmark = pytest.mark.medium

LIMIT = 3

#: A month: another request than a day.
MONTH = {**DAY, "shipped_to": "1995-03-31"}

CALLBACK = {"callback_url": "https://shop.example/hooks"}


def post(
    client: httpx.Client, key: str | None = None, spec: Mapping[str, str] = DAY
) -> httpx.Response:
    headers = {} if key is None else {"Idempotency-Key": key}
    return client.post("/reports", json=dict(spec), headers=headers)


def jobs(shop: Shop) -> int:
    """How many jobs are in the queue."""
    with Redis.from_url(shop.site.redis_url or "") as queues:
        return int(queues.hlen("dramatiq:short.msgs"))


@pytest.fixture(scope="module")
def tier_and_api(
    tmp_path_factory: pytest.TempPathFactory, data_set: Mapping[str, str]
) -> Iterator[tuple[Shop, Service]]:
    """A tier without slots, whose queue holds few jobs."""
    settings = {
        "OFFLOOP_QUEUE_LIMIT": str(LIMIT),
        "OFFLOOP_CALLBACK_HOSTS": "shop.example",
        "OFFLOOP_WEBHOOK_SECRET": f"whsec_{b64encode(bytes(32)).decode()}",
    }
    with open_shop(tmp_path_factory.mktemp("small"), {**data_set, **settings}) as shop:
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


@pytest.mark.parametrize("spec", [DAY, {**DAY, "callback_url": "https://shop.example/other"}])
def test_the_same_key_with_another_callback_is_refused(
    client: httpx.Client, small: Shop, spec: Mapping[str, str]
) -> None:
    first = post(client, "a-key", {**DAY, **CALLBACK})

    refused, again = post(client, "a-key", spec), post(client, "a-key", {**DAY, **CALLBACK})

    assert refused.status_code == 422
    assert refused.json()["type"] == "urn:offloop:problem:idempotency-key-reused"
    assert again.json() == first.json()
    assert jobs(small) == 1


def test_the_callback_of_an_order_is_kept_with_its_job(client: httpx.Client, small: Shop) -> None:
    accepted, without = post(client, spec={**DAY, **CALLBACK}), post(client)

    with Redis.from_url(f"{small.site.redis_url}/1") as records:
        record = read_record(records, accepted.json()["job_id"])
        assert record["callback_url"] == CALLBACK["callback_url"]
        assert ReportSpec.model_validate_json(record["spec"]) == ReportSpec.model_validate(DAY)
        assert "callback_url" not in read_record(records, without.json()["job_id"])


@pytest.mark.parametrize(
    "url", ["https://other.example/hooks", "https://shop.example:8443/", "http://127.0.0.1/"]
)
def test_a_callback_to_a_host_that_is_not_allowed_is_refused(
    client: httpx.Client, small: Shop, url: str
) -> None:
    refused = post(client, "a-key", {**DAY, "callback_url": url})

    assert refused.status_code == 422
    problem = refused.json()
    assert problem["type"] == "urn:offloop:problem:callback-not-allowed"
    assert "OFFLOOP_CALLBACK_HOSTS" in problem["detail"]
    assert "shop.example" not in problem["detail"]  # clients do not see the allowed hosts
    assert jobs(small) == 0
    assert post(client, "a-key").status_code == 202  # the key is unused


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
        assert records.ttl("idempotency:a-key") > 0
        assert records.ttl(f"job:{job_id}") == -1  # as long as the job has not come to its end
        client.delete(f"/reports/{job_id}")
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
    small.stack.stop("worker-short-1")


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
