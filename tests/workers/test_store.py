"""Accepting and finding jobs, on a real server."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest
from redis import Redis

from offloop.stack.ports import free_port
from reports.models import JobStatus
from reports.spec import ReportSpec
from tests.shop import DAY, disconnect_others, hold, read_record
from workers import messages
from workers.attempts import AttemptStore
from workers.batching import MAX_BATCH
from workers.queues import Queue
from workers.records import QueuedJob, finish_times_key, record_key, spec_from_record
from workers.settings import TierSettings
from workers.store import MAX_CONNECTIONS, BrokerUnavailableError, JobStore, QueueFullError

pytestmark = pytest.mark.medium

SPEC = ReportSpec.model_validate(DAY)
MONTH = {"shipped_from": "1995-03-01", "shipped_to": "1995-03-31"}
LONGER = {"shipped_from": "1995-03-01", "shipped_to": "1995-04-01"}
QUEUE = "dramatiq:short"

T = TypeVar("T")


def with_store(tier: TierSettings, use: Callable[[JobStore], Awaitable[T]]) -> T:
    async def run() -> T:
        async with JobStore(tier) as store:
            return await use(store)

    return asyncio.run(run())


def job_id(number: int) -> str:
    return f"{number:032x}"


def accept(tier: TierSettings, count: int = 1) -> list[QueuedJob]:
    async def use(store: JobStore) -> list[QueuedJob]:
        return await asyncio.gather(*(store.enqueue(job_id(n), SPEC) for n in range(count)))

    return with_store(tier, use)


def test_records_and_queues_are_kept_in_different_databases(
    tier: TierSettings, queues: Redis, records: Redis
) -> None:
    """Dramatiq's maintenance runs KEYS over its database: it must not walk every record."""
    accept(tier, 3)

    assert set(queues.keys()) == {b"dramatiq:short", b"dramatiq:short.msgs"}
    jobs = {record_key(job_id(n)).encode() for n in range(3)}
    assert set(records.keys()) == {b"jobs", b"open:short", *jobs}


def test_all_jobs_of_a_burst_are_written_and_share_batches(
    tier: TierSettings, queues: Redis, records: Redis
) -> None:
    count = 3 * MAX_BATCH
    records.config_resetstat()

    jobs = accept(tier, count)

    assert [job.status for job in jobs] == [JobStatus.QUEUED] * count
    assert len(records.keys("job:*")) == count
    assert queues.llen(QUEUE) == queues.hlen(f"{QUEUE}.msgs") == count
    assert set(queues.lrange(QUEUE, 0, -1)) == set(queues.hkeys(f"{QUEUE}.msgs"))
    # Four at most are these jobs, some are of a worker that polls the same server.
    assert records.info("commandstats")["cmdstat_evalsha"]["calls"] < count / 2


def test_a_job_is_found_as_it_was_accepted(tier: TierSettings, records: Redis) -> None:
    (job,) = accept(tier)

    assert with_store(tier, lambda store: store.find(job.job_id)) == job
    assert spec_from_record(read_record(records, job.job_id)) == SPEC


@pytest.mark.parametrize("unknown", ["0" * 32, "", "*", "job:x", "\0", "\ufffd"])
def test_an_id_that_names_no_job_finds_none(tier: TierSettings, unknown: str) -> None:
    accept(tier)
    other = unknown if unknown != job_id(0) else job_id(7)

    assert with_store(tier, lambda store: store.find(other)) is None


def test_more_reads_than_connections_wait_for_their_turn(
    tier: TierSettings, records: Redis
) -> None:
    (job,) = accept(tier)

    async def use(store: JobStore) -> list[QueuedJob | None]:
        return await asyncio.gather(*(store.find(job.job_id) for _ in range(10 * MAX_CONNECTIONS)))

    assert with_store(tier, use) == [job] * (10 * MAX_CONNECTIONS)


def test_connections_that_the_server_closed_fail_no_request(
    tier: TierSettings, records: Redis
) -> None:
    """As after a restart of the broker, or behind a proxy that closes idle connections."""

    async def use(store: JobStore) -> list[QueuedJob | None]:
        async def find_many() -> list[QueuedJob | None]:
            return await asyncio.gather(*(store.find(job_id(0)) for _ in range(MAX_CONNECTIONS)))

        await store.enqueue(job_id(0), SPEC)
        await find_many()
        disconnect_others(records)
        await asyncio.sleep(0)  # one turn of the loop, which reads that they were closed
        await store.enqueue(job_id(1), SPEC)
        return await find_many()

    found = with_store(tier, use)

    assert {job.job_id for job in found if job} == {job_id(0)}
    assert None not in found


def test_a_broker_that_is_not_there_is_unavailable() -> None:
    nowhere = TierSettings.model_validate({"redis_url": f"redis://127.0.0.1:{free_port()}/0"})
    attempts: list[Callable[[JobStore], Awaitable[object]]] = [
        lambda store: store.ping(),
        lambda store: store.find(job_id(0)),
        lambda store: store.enqueue(job_id(0), SPEC),
    ]

    for attempt in attempts:
        with pytest.raises(BrokerUnavailableError):
            with_store(nowhere, attempt)


def test_no_job_is_accepted_for_a_dramatiq_that_was_not_tested(
    tier: TierSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messages, "version", lambda _: "99.0")

    with pytest.raises(messages.UntestedDramatiqError, match=r"dramatiq 99\.0"):
        accept(tier)


@pytest.mark.parametrize(("spec", "queue"), [(DAY, "short"), (MONTH, "short"), (LONGER, "long")])
def test_a_job_goes_to_the_queue_for_the_size_of_its_window(
    tier: TierSettings, queues: Redis, spec: dict[str, str], queue: str
) -> None:
    order = ReportSpec.model_validate(spec)

    job = with_store(tier, lambda store: store.enqueue(job_id(0), order))

    assert job.queue == queue
    assert set(queues.keys()) == {f"dramatiq:{queue}".encode(), f"dramatiq:{queue}.msgs".encode()}
    assert with_store(tier, lambda store: store.find(job_id(0))) == job


def test_a_queue_that_is_full_does_not_keep_orders_from_the_other(
    tier: TierSettings, queues: Redis
) -> None:
    one_place = tier.model_copy(update={"queue_limit": 1})

    async def use(store: JobStore) -> list[object]:
        specs = [ReportSpec.model_validate(spec) for spec in (DAY, MONTH, LONGER, LONGER)]
        orders = (store.enqueue(job_id(number), spec) for number, spec in enumerate(specs))
        return list(await asyncio.gather(*orders, return_exceptions=True))

    accepted = with_store(one_place, use)

    full = [isinstance(answer, QueueFullError) for answer in accepted]
    assert full == [False, True, False, True]
    assert queues.llen("dramatiq:short") == queues.llen("dramatiq:long") == 1


def test_jobs_that_wait_for_another_attempt_take_their_place_in_the_queue(
    tier: TierSettings, queues: Redis
) -> None:
    """They have no message meanwhile, and will come back."""
    one_place = tier.model_copy(update={"queue_limit": 1})
    accept(one_place)
    attempts = AttemptStore(tier)
    attempt = attempts.claim(job_id(0), hold(tier, job_id(0)))
    assert attempt is not None
    attempts.put_off(attempt, 60)
    queues.flushdb()  # as when its message has been acknowledged

    with pytest.raises(QueueFullError):
        with_store(one_place, lambda store: store.enqueue(job_id(1), SPEC))


def test_a_page_with_a_hole_is_not_the_last_one(tier: TierSettings, records: Redis) -> None:
    accept(tier, 5)
    first = with_store(tier, lambda store: store.page(2))
    records.delete(record_key(first.jobs[0].job_id))

    holed = with_store(tier, lambda store: store.page(2))
    following = with_store(tier, lambda store: store.page(2, holed.next))
    last = with_store(tier, lambda store: store.page(2, following.next))

    assert (len(holed.jobs), len(following.jobs), len(last.jobs)) == (1, 2, 1)
    assert last.next is None


def test_how_fast_the_queue_drains_is_told_by_what_was_finished_lately(
    tier: TierSettings, records: Redis
) -> None:
    accept(tier)
    now = time.time()
    moments = [now - 4, now - 2, now - 0, *(now - hour * 3600 for hour in (3, 2, 1))]
    records.lpush(finish_times_key(Queue.SHORT), *sorted(moments))

    with pytest.raises(QueueFullError) as refused:
        with_store(
            tier.model_copy(update={"queue_limit": 1}),
            lambda store: store.enqueue(job_id(1), SPEC),
        )

    assert refused.value.retry_after_s == 2


@pytest.mark.parametrize(("knows_keys", "jobs"), [(True, 1), (False, 2)])
def test_a_tier_that_knows_no_keys_takes_an_order_that_is_sent_again_for_another_one(
    tier: TierSettings, records: Redis, knows_keys: bool, jobs: int
) -> None:
    keyless = tier.model_copy(update={"idempotency_keys": knows_keys})

    async def order_twice(store: JobStore) -> set[str]:
        accepted = [await store.enqueue(job_id(n), SPEC, "a-key") for n in range(2)]
        return {job.job_id for job in accepted}

    accepted = with_store(keyless, order_twice)

    assert len(accepted) == jobs
    assert len(records.keys("job:*")) == jobs
    assert bool(records.keys("idempotency:*")) == knows_keys
    # The ledger shows that they are the same order.
    assert {read_record(records, each)["request_ref"] for each in accepted} == {"a-key"}
