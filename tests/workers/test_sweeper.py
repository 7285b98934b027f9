"""The sweeper finds jobs without a message, and leaves all other jobs alone."""

import asyncio

import pytest
from redis import Redis

from reports.spec import ReportSpec
from tests.shop import DAY, EVERYTHING, hold, read_record
from workers.attempts import AttemptStore
from workers.housekeeping.delayed import Delayed
from workers.housekeeping.sweeper import Sweeper
from workers.records import DELAYED_KEY, record_key
from workers.settings import TierSettings
from workers.store import JobStore

pytestmark = pytest.mark.medium

SHORT, LONG = "a" * 32, "b" * 32
BOTH = {SHORT.encode(), LONG.encode()}


@pytest.fixture(autouse=True)
def accepted(tier: TierSettings) -> None:
    async def accept() -> None:
        async with JobStore(tier) as store:
            await store.enqueue(SHORT, ReportSpec.model_validate(DAY))
            await store.enqueue(LONG, ReportSpec.model_validate(EVERYTHING))

    asyncio.run(accept())


def message_of(records: Redis, job_id: str) -> str:
    return read_record(records, job_id)["message_id"]


def test_jobs_that_have_a_message_are_left_alone(
    tier: TierSettings, records: Redis, queues: Redis
) -> None:
    AttemptStore(tier).claim(LONG, hold(tier, LONG))
    before = {key: queues.hgetall(key) for key in queues.keys("*.msgs")}

    Sweeper(tier).run()

    assert not records.exists(DELAYED_KEY)
    assert {key: queues.hgetall(key) for key in queues.keys("*.msgs")} == before


def test_jobs_whose_messages_are_gone_are_queued_again_where_they_belong(
    tier: TierSettings, records: Redis, queues: Redis
) -> None:
    AttemptStore(tier).claim(LONG, hold(tier, LONG))
    queues.flushdb()

    Sweeper(tier).run()

    assert set(records.zrange(DELAYED_KEY, 0, -1)) == BOTH
    assert Delayed(tier).run() == 2
    assert queues.lrange("dramatiq:short", 0, -1) == [message_of(records, SHORT).encode()]
    assert queues.lrange("dramatiq:long", 0, -1) == [message_of(records, LONG).encode()]
    Sweeper(tier).run()
    assert not records.exists(DELAYED_KEY)


def test_a_job_that_waits_for_another_attempt_goes_on_waiting(
    tier: TierSettings, records: Redis, queues: Redis
) -> None:
    attempts = AttemptStore(tier)
    attempt = attempts.claim(LONG, hold(tier, LONG))
    assert attempt is not None
    attempts.put_off(attempt, 60)
    due = records.zscore(DELAYED_KEY, LONG)
    queues.flushdb()

    Sweeper(tier).run()

    assert records.zscore(DELAYED_KEY, LONG) == due


def test_jobs_that_are_forgotten_are_looked_after_no_more(
    tier: TierSettings, records: Redis, queues: Redis
) -> None:
    records.delete(record_key(SHORT))
    queues.flushdb()

    Sweeper(tier).run()

    assert not records.exists("open:short")
    assert records.smembers("open:long") == {LONG.encode()}
    assert records.zrange(DELAYED_KEY, 0, -1) == [LONG.encode()]
