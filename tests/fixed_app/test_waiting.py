"""`Prefer: wait=N`: what is understood, and what wakes a request that waits."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from redis import Redis

from fixed_app import waiting
from fixed_app.waiting import MAX_WAIT_S, FinishedJobs, requested_wait_s
from reports.models import Job
from reports.spec import ReportResult, ReportSpec
from tests.shop import DAY, HANG_S, disconnect_others, hold, wait_for
from workers.attempts import AttemptStore
from workers.records import record_key
from workers.settings import TierSettings
from workers.store import JobStore

JOB_ID = "a" * 32
SPEC = ReportSpec.model_validate(DAY)
RESULT = ReportResult(rows=1, bytes=2, sha256="00" * 32, summary=())


@pytest.mark.parametrize(
    ("prefer", "seconds"),
    [
        ("wait=10", 10),
        ("WAIT=10", 10),
        ("wait = 10", 10),
        ('wait="10"', 10),
        ("respond-async, wait=10", 10),
        ("wait=10, respond-async", 10),
        ("wait=10; because=patience", 10),
        ("wait=0", 0),
        ("wait=999999", MAX_WAIT_S),
        ("", 0),
        ("wait", 0),
        ("wait=", 0),
        ("wait=-1", 0),
        ("wait=1.5", 0),
        ("wait=ten", 0),
        ("wait=1 0", 0),
        ("wait=\u0661\u0660", 0),  # digits, but not ASCII's
        ("await=10", 0),
        ("handling=lenient; wait=10", 0),  # a parameter of another preference
    ],
)
def test_a_preference_to_wait_is_understood_or_ignored(prefer: str, seconds: float) -> None:
    assert requested_wait_s(prefer) == seconds


def run_with_jobs(
    tier: TierSettings, use: Callable[[JobStore, FinishedJobs], Awaitable[Job | None]]
) -> Job | None:
    async def run() -> Job | None:
        async with (
            asyncio.timeout(HANG_S),
            JobStore(tier) as store,
            FinishedJobs(store) as finished,
        ):
            return await use(store, finished)

    return asyncio.run(run())


async def subscribed(records: Redis) -> None:
    """Return once a client of this database has subscribed to notices of finished jobs."""
    database = str(records.connection_pool.connection_kwargs["db"])

    def listening() -> bool:
        return any(client["db"] == database for client in records.client_list(_type="pubsub"))

    await asyncio.to_thread(wait_for, listening)


def finish(tier: TierSettings) -> None:
    attempts = AttemptStore(tier)
    attempt = attempts.claim(JOB_ID, hold(tier, JOB_ID))
    assert attempt is not None
    attempts.finish(attempt, RESULT)


@pytest.mark.medium
def test_the_end_of_a_job_wakes_all_requests_that_wait_for_it(
    tier: TierSettings, records: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The waiters do not look again within the time of this test: only the notice can wake them.
    monkeypatch.setattr(waiting, "RECHECK_S", 10 * HANG_S)

    async def use(store: JobStore, finished: FinishedJobs) -> Job | None:
        await store.enqueue(JOB_ID, SPEC)
        await subscribed(records)
        waiters = [asyncio.create_task(finished.wait(JOB_ID, 5 * HANG_S)) for _ in range(3)]
        await asyncio.sleep(0)  # they begin
        await asyncio.to_thread(finish, tier)
        jobs = await asyncio.gather(*waiters)
        assert jobs[0] == jobs[1] == jobs[2]
        return jobs[0]

    job = run_with_jobs(tier, use)

    assert job is not None
    assert job.result == RESULT


@pytest.mark.medium
def test_a_lost_notice_delays_an_answer_and_no_more(
    tier: TierSettings, records: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "RECHECK_S", 0.05)

    async def use(store: JobStore, finished: FinishedJobs) -> Job | None:
        await store.enqueue(JOB_ID, SPEC)
        waiter = asyncio.create_task(finished.wait(JOB_ID, 5 * HANG_S))
        await asyncio.sleep(0)
        records.hset(record_key(JOB_ID), "status", "cancelled")  # and no notice of it
        return await waiter

    job = run_with_jobs(tier, use)

    assert job is not None
    assert job.status == "cancelled"


@pytest.mark.medium
def test_notices_are_subscribed_to_again_when_the_connection_breaks(
    tier: TierSettings, records: Redis
) -> None:
    async def use(store: JobStore, finished: FinishedJobs) -> Job | None:
        await store.enqueue(JOB_ID, SPEC)
        await subscribed(records)
        await asyncio.to_thread(disconnect_others, records)
        await subscribed(records)
        return await finished.wait(JOB_ID, 0)

    job = run_with_jobs(tier, use)

    assert job is not None
    assert job.status == "queued"


@pytest.mark.medium
def test_a_request_for_an_unknown_job_does_not_wait(tier: TierSettings) -> None:
    async def use(_: JobStore, finished: FinishedJobs) -> Job | None:
        return await finished.wait(JOB_ID, 10 * HANG_S)

    assert run_with_jobs(tier, use) is None


@pytest.mark.medium
def test_listening_ends_at_once_even_while_it_subscribes(tier: TierSettings) -> None:
    """While it subscribes, redis-py may swallow a cancellation; it must not swallow the end."""

    async def leave_after(turns: int) -> None:
        async with asyncio.timeout(HANG_S / 2) as guard:
            async with JobStore(tier) as store, FinishedJobs(store):
                for _ in range(turns):
                    await asyncio.sleep(0)
        assert not guard.expired()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    for turns in range(30):
        asyncio.run(leave_after(turns))
