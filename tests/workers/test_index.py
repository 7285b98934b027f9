"""The index of all jobs, on a real server."""

import asyncio
import time

import pytest
from redis import Redis

from reports.spec import ReportSpec
from tests.shop import DAY
from workers.housekeeping.index import Index
from workers.records import ENDED_KEY, INDEX_KEY
from workers.settings import TierSettings
from workers.store import JobStore

pytestmark = pytest.mark.medium


def test_jobs_whose_records_have_expired_are_forgotten_and_others_are_not(
    tier: TierSettings, records: Redis
) -> None:
    ids = [f"{number:032x}" for number in range(3)]

    async def accept_and_cancel_two() -> None:
        async with JobStore(tier) as store:
            for job_id in ids:
                await store.enqueue(job_id, ReportSpec.model_validate(DAY))
            await store.cancel(ids[0])
            await store.cancel(ids[1])

    asyncio.run(accept_and_cancel_two())
    assert Index(tier).forget_expired() == 0
    records.zadd(ENDED_KEY, {ids[1]: time.time() - 1})

    assert Index(tier).forget_expired() == 1
    assert set(records.zrange(INDEX_KEY, 0, -1)) == {ids[0].encode(), ids[2].encode()}
    assert records.zrange(ENDED_KEY, 0, -1) == [ids[0].encode()]
    assert Index(tier).forget_expired() == 0


def test_however_many_there_are_to_forget_it_is_done_in_one_go(
    tier: TierSettings, records: Redis
) -> None:
    jobs = {f"{number:032x}": 1.0 for number in range(2_500)}
    records.zadd(INDEX_KEY, jobs)
    records.zadd(ENDED_KEY, jobs)

    assert Index(tier).forget_expired() == len(jobs)
    assert not records.exists(INDEX_KEY, ENDED_KEY)
