"""The index of jobs, on a real server."""

import asyncio

import pytest
from redis import Redis

from reports.spec import ReportSpec
from tests.shop import DAY
from workers.housekeeping.index import Index
from workers.records import INDEX_KEY, record_key
from workers.settings import TierSettings
from workers.store import JobStore

pytestmark = pytest.mark.medium


def test_a_job_whose_record_has_expired_is_forgotten_and_others_are_not(
    tier: TierSettings, records: Redis
) -> None:
    ids = [f"{number:032x}" for number in range(3)]

    async def accept() -> None:
        async with JobStore(tier) as store:
            for job_id in ids:
                await store.accept(job_id, ReportSpec.model_validate(DAY))

    asyncio.run(accept())
    records.delete(record_key(ids[1]))

    assert Index(tier).forget_expired() == 1
    assert set(records.zrange(INDEX_KEY, 0, -1)) == {ids[0].encode(), ids[2].encode()}
    assert Index(tier).forget_expired() == 0
